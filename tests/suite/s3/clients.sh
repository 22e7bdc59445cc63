# shellcheck shell=bash disable=SC2034
# Sourced by the scripts of clients, which run in a directory of their own. In: S3_HOST, where the endpoint is, MOUNT,
# where the same store is mounted, the access key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
set -Eeuo pipefail
trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
export HOME=$PWD LC_ALL=C.UTF-8
# rclone takes no bundle of certificates, and nobody needs one here.
unset AWS_CA_BUNDLE

# `bytes N`: so many, of any kind.
bytes() { head -c "$1" /dev/urandom; }

# `tree DIR`: small files, some below others, and one of 12 MiB.
tree() {
    mkdir -p "$1"/{a/b/c,d}
    bytes $((12 << 20)) >"$1/large"
    bytes 100000 >"$1/a/middle"
    for n in {1..12}; do echo "file $n" >"$1/a/b/c/$n"; done
    echo 'a name' >"$1/d/with space & plus+, ümläut"
    : >"$1/d/empty"
}

# `same ONE OTHER`: two trees of files and their bytes.
same() { diff -r --no-dereference "$1" "$2"; }

# `fails COMMAND...`: the command must end with an error; what it said is in the file `said`.
fails() {
    if "$@" >said 2>&1; then
        echo "this was not refused: $*" >&2
        return 1
    fi
}
