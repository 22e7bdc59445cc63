# shellcheck shell=bash
# usage: s3cmd.sh: what people do with s3cmd, compared at the mount.
# shellcheck source=tests/suite/s3/clients.sh
. "$(dirname "${BASH_SOURCE[0]}")/clients.sh"

cat >config <<END
[default]
access_key = $AWS_ACCESS_KEY_ID
secret_key = $AWS_SECRET_ACCESS_KEY
host_base = $S3_HOST
host_bucket = $S3_HOST
bucket_location = us-east-1
use_https = False
multipart_chunk_size_mb = 5
progress_meter = False
END
s3() { s3cmd --config=config "$@"; }

s3 mb s3://lake
s3 ls | grep 's3://lake$' >/dev/null
tree files
# In three parts.
s3 put files/large s3://lake/large
cmp files/large "$MOUNT/lake/large"
s3 get s3://lake/large got
cmp files/large got

s3 put --add-header=x-amz-meta-color:red --mime-type=text/x-words files/a/middle s3://lake/middle
about=$(s3 info s3://lake/middle)
grep -q 'MIME type: *text/x-words' <<<"$about"
grep -q 'x-amz-meta-color: *red' <<<"$about"
[ "$(getfattr --absolute-names -n user.s3.meta.color --only-values "$MOUNT/lake/middle")" = red ]
s3 modify --add-header=x-amz-meta-color:blue s3://lake/middle
[ "$(getfattr --absolute-names -n user.s3.meta.color --only-values "$MOUNT/lake/middle")" = blue ]

s3 sync files/ s3://lake/synced/
same files "$MOUNT/lake/synced"
rm files/a/b/c/7
echo changed >files/a/middle
s3 sync --delete-removed files/ s3://lake/synced/
same files "$MOUNT/lake/synced"
echo 'from the mount' >"$MOUNT/lake/synced/d/other"
s3 sync s3://lake/synced/ back/
same "$MOUNT/lake/synced" back

s3 cp s3://lake/synced/large s3://lake/copies/large
s3 mv s3://lake/copies/large s3://lake/copies/moved
cmp files/large "$MOUNT/lake/copies/moved"
[ "$(s3 ls --recursive s3://lake/synced/ | wc -l)" = 16 ]
[ "$(s3 ls s3://lake/synced/ | awk '{ print $NF }' | tr '\n' ' ')" = 's3://lake/synced/a/ s3://lake/synced/d/ s3://lake/synced/large ' ]
s3 du s3://lake/copies | grep '^ *12582912 ' >/dev/null
s3 multipart s3://lake >uploads
fails grep -q large uploads

# AUTH-1: signatures of version 2 are refused in S3's words, which it answers by signing anew. Its links have no others.
s3 --signature-v2 --debug ls >said 2>&1
grep -q 'Endpoint requires signature v4' said
fails curl --silent --fail "$(s3 signurl s3://lake/synced/d/other +600)"

s3 del s3://lake/middle
[ ! -e "$MOUNT/lake/middle" ]
fails s3 get s3://lake/middle none
grep -q 'does not exist' said
fails s3 rb s3://lake
grep -q 'BucketNotEmpty' said
s3 del --recursive --force s3://lake
s3 rb s3://lake
[ ! -e "$MOUNT/lake" ]
