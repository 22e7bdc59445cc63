# shellcheck shell=bash
# usage: restic.sh: a repository of restic's in the store: backups, what is forgotten and pruned, checks, what is restored.
# shellcheck source=tests/suite/s3/clients.sh
. "$(dirname "${BASH_SOURCE[0]}")/clients.sh"

export RESTIC_REPOSITORY=s3:http://$S3_HOST/backups/of/host RESTIC_PASSWORD=password
re() { restic --no-cache --quiet --cleanup-cache=false "$@"; }

re init
tree files
mkdir -m 700 files/private
ln -s ../a/middle files/d/link
touch -d '2020-02-03 04:05:06.789' files/a/middle
re backup --tag first files
cp -a files before
echo changed >files/a/middle
bytes 9000000 >files/new
rm files/a/b/c/{1,2,3}
re backup --tag second files
[ "$(re snapshots --json | grep -o '"short_id"' | wc -l)" = 2 ]
re check --read-data

re restore --tag first --target first latest
same before first/files
[ "$(stat -c %Y,%a first/files/a/middle)" = "$(stat -c %Y,%a before/a/middle)" ]
[ "$(stat -c %a first/files/private)" = 700 ]
[ "$(readlink first/files/d/link)" = ../a/middle ]

stored() { find "$MOUNT/backups/of/host/data" -type f -printf '%s\n' | awk '{ all += $1 } END { print all }'; }
rm -r files/large
re backup --tag third files
had=$(stored)
re forget --group-by host --keep-last 1 --prune
[ "$(stored)" -lt $((had - 10000000)) ]
re check --read-data
re restore --tag third --target third latest
same files third/files

# Damage that a disk brought is seen. The newest pack holds data or trees, both of which are read.
pack=$(find "$MOUNT/backups/of/host/data" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
printf 'x' | dd of="$pack" bs=1 seek=100 conv=notrunc status=none
fails re check --read-data
