# shellcheck shell=bash
# usage: rclone.sh: what people do with rclone, compared at the mount.
# shellcheck source=tests/suite/s3/clients.sh
. "$(dirname "${BASH_SOURCE[0]}")/clients.sh"

cat >config <<END
[here]
type = s3
provider = Other
access_key_id = $AWS_ACCESS_KEY_ID
secret_access_key = $AWS_SECRET_ACCESS_KEY
endpoint = http://$S3_HOST
chunk_size = 5M
upload_cutoff = 5M
copy_cutoff = 8M
END
rc() { rclone --config=config --retries 1 --low-level-retries 1 "$@"; }

rc mkdir here:lake
tree files
touch -d '2020-02-03 04:05:06.789 UTC' files/a/middle
rc sync files here:lake/synced
same files "$MOUNT/lake/synced"
rc check --download files here:lake/synced
# By hashes: MD5 is the tag of a small object, and metadata of one in parts.
rc check files here:lake/synced
[ "$(rc lsl here:lake/synced/a/middle | awk '{ print $2, $3 }')" = '2020-02-03 04:05:06.789000000' ]
# Nothing is sent twice.
rc sync -v files here:lake/synced >said 2>&1
fails grep -q ': Copied' said

rm files/a/b/c/7
echo changed >files/d/empty
rc sync files here:lake/synced
same files "$MOUNT/lake/synced"
echo 'from the mount' >"$MOUNT/lake/synced/d/other"
rc copy here:lake/synced back
same "$MOUNT/lake/synced" back
[ "$(date -u -r back/a/middle '+%F %T.%3N')" = '2020-02-03 04:05:06.789' ]

# By the server: whole, in parts, and away from where it was.
rc copyto -v here:lake/synced/a/middle here:lake/server/middle 2>&1 | grep 'server-side copy' >/dev/null
cmp files/a/middle "$MOUNT/lake/server/middle"
rc copyto -v here:lake/synced/large here:lake/server/large 2>&1 | grep 'server-side copy' >/dev/null
cmp files/large "$MOUNT/lake/server/large"
rc moveto here:lake/server/large here:lake/server/moved
cmp files/large "$MOUNT/lake/server/moved"
[ ! -e "$MOUNT/lake/server/large" ]

rc cat --offset 5000000 --count 1000 here:lake/synced/large | cmp - <(tail -c +5000001 files/large | head -c 1000)
echo 'through a pipe' | rc rcat here:lake/piped
[ "$(cat "$MOUNT/lake/piped")" = 'through a pipe' ]
bytes 7000000 >long
rc rcat here:lake/long <long
cmp long "$MOUNT/lake/long"
rc copyto --header-upload 'X-Amz-Meta-Color: red' --metadata files/a/middle here:lake/coloured
[ "$(getfattr --absolute-names -n user.s3.meta.color --only-values "$MOUNT/lake/coloured")" = red ]
rc lsf -R here:lake/synced | grep -v '/$' | sort >listed
(cd "$MOUNT/lake/synced" && find . -type f | cut -c 3- | sort) | diff - listed
[ "$(rc size --json here:lake/server)" = '{"count":2,"bytes":12682912,"sizeless":0}' ]
[ "$(curl --silent --fail "$(rc link --expire 10m here:lake/piped)")" = 'through a pipe' ]
touch moving
rc move moving here:lake/arrived
[ ! -e moving ] && [ -e "$MOUNT/lake/arrived/moving" ]

# Old versions.
rc mkdir here:kept
setfattr -n user.s3.versioning -v Enabled "$MOUNT/kept"
echo one | rc rcat here:kept/f
sleep 1.1
echo three | rc rcat here:kept/f
rc deletefile here:kept/f
[ -z "$(rc lsf here:kept)" ]
[ "$(rc lsf --s3-versions here:kept | wc -l)" = 2 ]
[ "$(rc cat --s3-versions "here:kept/$(rc lsf --s3-versions here:kept | sort | head -n 1)")" = one ]

rc delete here:lake/synced
rc purge here:lake
[ ! -e "$MOUNT/lake" ]
