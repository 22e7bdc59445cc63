# shellcheck shell=bash
# usage: s3fs.sh: a bucket mounted by s3fs, which keeps modes, owners and times in metadata, compared at our own mount.
# shellcheck source=tests/suite/s3/clients.sh
. "$(dirname "${BASH_SOURCE[0]}")/clients.sh"

(umask 077 && echo "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" >key)
mkdir "$MOUNT/lake" mnt
mounted() { grep -qF " $PWD/mnt " /proc/self/mountinfo; }
# Returns when it answers.
up() {
    s3fs lake mnt -o "url=http://$S3_HOST,use_path_request_style,passwd_file=key,multipart_size=5,retries=1" \
        -o "connect_timeout=5,readwrite_timeout=20,logfile=$PWD/log"
    for _ in {1..200}; do
        if mounted && ls mnt >/dev/null; then return; fi
        sleep 0.05
    done
    cat log >&2
    return 1
}
down() {
    mounted || return 0
    fusermount3 -u mnt || fusermount3 -uz mnt
    # It ends after that, and its lock on the key's file is nobody's.
    for _ in {1..200}; do
        mounted || return 0
        sleep 0.05
    done
}
trap down EXIT

up
tree files
mkdir -m 750 files/empty
touch -d '2020-02-03 04:05:06' files/a/middle
chmod 600 files/a/b/c/1
ln -s a/middle files/link
cp -a files mnt/files
same files mnt/files
# Directories are markers; where ours shows modes of its own, theirs are metadata.
same files/a "$MOUNT/lake/files/a"
[ -d "$MOUNT/lake/files/empty" ]
[ "$(getfattr --absolute-names -n user.s3.meta.mtime --only-values "$MOUNT/lake/files/a/middle" | cut -d . -f 1)" = "$(stat -c %Y files/a/middle)" ]
mv mnt/files/a mnt/files/moved
mv files/a files/moved
rm mnt/files/moved/b/c/{2,3}
rm files/moved/b/c/{2,3}
echo more >>mnt/files/d/empty
echo more >>files/d/empty
truncate -s 6000000 mnt/files/large
truncate -s 6000000 files/large
mkdir "$MOUNT/lake/from-the-mount"
echo 'from the mount' >"$MOUNT/lake/from-the-mount/f"

down
up
same files mnt/files
[ "$(stat -c %a,%Y mnt/files/moved/middle)" = "$(stat -c %a,%Y files/moved/middle)" ]
[ "$(stat -c %a mnt/files/moved/b/c/1)" = 600 ]
[ "$(stat -c %a mnt/files/empty)" = 750 ]
[ "$(readlink mnt/files/link)" = a/middle ]
[ "$(cat mnt/from-the-mount/f)" = 'from the mount' ]
cmp files/large "$MOUNT/lake/files/large"
rm -r mnt/files
[ ! -e "$MOUNT/lake/files" ]
