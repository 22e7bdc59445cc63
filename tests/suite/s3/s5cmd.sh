# shellcheck shell=bash
# usage: s5cmd.sh: what people do with s5cmd, which does many things at once, compared at the mount.
# shellcheck source=tests/suite/s3/clients.sh
. "$(dirname "${BASH_SOURCE[0]}")/clients.sh"

s5() { s5cmd --endpoint-url "http://$S3_HOST" --retry-count 0 "$@"; }

s5 mb s3://lake
tree files
for n in {1..300}; do echo "many $n" >"files/d/many-$n"; done
s5 cp files/ s3://lake/copied/
same files "$MOUNT/lake/copied"
# In parts, several at once.
s5 cp --part-size 5 --concurrency 3 files/large s3://lake/large
cmp files/large "$MOUNT/lake/large"
s5 cp --part-size 5 --concurrency 4 s3://lake/large got
cmp files/large got
s5 cat s3://lake/copied/a/middle | cmp - files/a/middle
echo 'through a pipe' | s5 pipe s3://lake/piped
[ "$(cat "$MOUNT/lake/piped")" = 'through a pipe' ]

[ "$(s5 ls 's3://lake/copied/d/many-*' | wc -l)" = 300 ]
[ "$(s5 ls 's3://lake/copied/d/many-1?' | wc -l)" = 10 ]
s5 ls s3://lake | grep 'DIR  *copied/$' >/dev/null
s5 du 's3://lake/large' | grep '^12582912 bytes in 1 objects' >/dev/null
s5 cp 's3://lake/copied/a/*' s3://lake/server/
same files/a "$MOUNT/lake/server"
s5 mv s3://lake/piped s3://lake/moved
[ ! -e "$MOUNT/lake/piped" ] && [ -e "$MOUNT/lake/moved" ]

s5 rm 's3://lake/copied/d/many-*'
rm files/d/many-*
same files "$MOUNT/lake/copied"
echo 'from the mount' >"$MOUNT/lake/copied/d/other"
s5 sync 's3://lake/copied/*' back/
same "$MOUNT/lake/copied" back
rm -r back/a
s5 sync --delete back/ s3://lake/copied/
same back "$MOUNT/lake/copied"

fails s5 cat s3://lake/none
grep -q 'not found' said
fails s5 rb s3://lake
grep -q 'BucketNotEmpty' said
# A list of commands that run side by side.
printf 'rm s3://lake/%s\n' large moved 'server/*' 'copied/*' >commands
s5 run commands
s5 rb s3://lake
[ ! -e "$MOUNT/lake" ]
