#!/usr/bin/env bash
# From a fresh machine to a mounted store and a first session in it:
#
#     mount-scripts/quickstart.sh [MOUNTPOINT] [STORE]
#
# MOUNTPOINT is ~/keyfold and STORE ~/.local/share/keyfold/store unless named. Each command of the session is shown
# with what it prints. The store stays mounted. Running it again goes on in the same store.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=mount-scripts/say.sh
. "$scripts/say.sh"

usage() {
    echo "usage: $0 [MOUNTPOINT] [STORE]" >&2
    exit "$1"
}
case ${1:-} in
-h | --help) usage 0 ;;
-*) usage 2 ;;
esac
[ "$#" -le 2 ] || usage 2
if [ "$(uname -s)" != Linux ]; then
    fail "this quick start is for Linux" "it looks at Linux's table of mounts and uses setfattr" \
        "build with cargo build, then: keyfold mount STORE MOUNTPOINT"
fi
if [ "$#" -eq 0 ] && [ -z "${HOME:-}" ]; then
    fail "no mount point" "HOME is not set, so there is no default" "$0 MOUNTPOINT STORE"
fi

mountpoint=$(realpath -sm -- "${1:-$HOME/keyfold}")
store=$(realpath -m -- "${2:-${XDG_DATA_HOME:-${HOME:-/var/lib}/.local/share}/keyfold/store}")
bucket=quickstart

# `mounted type DIR` or `mounted source DIR`: what the table of mounts says, nothing when nothing is mounted there.
# The table is read, not the directory: a mount whose process died answers no question.
mounted() {
    awk -v field="$1" -v dir="$2" '
        function plain(text) {
            gsub(/\\040/, " ", text); gsub(/\\011/, "\t", text); gsub(/\\012/, "\n", text); gsub(/\\134/, "\\", text)
            return text
        }
        plain($5) == dir { for (i = 7; i <= NF; i++) if ($i == "-") { type = $(i + 1); source = $(i + 2) } }
        END { print plain(field == "type" ? type : source) }' /proc/self/mountinfo
}

# Shows a command as a person would type it, then runs it.
run() {
    printf '\n$ %s\n' "$(printf '%q ' "$@" | sed 's/ $//')"
    "$@"
}

build() {
    say "What the build needs"
    "$scripts/deps.sh" try
    note "everything is there"

    say "Building keyfold"
    # shellcheck source=mount-scripts/env.sh
    . "$scripts/env.sh"
    cargo build --locked --manifest-path "$scripts/../Cargo.toml" >&2 ||
        fail "keyfold does not build" "cargo's messages are above" \
            "check out an unchanged copy; if it still fails, report the first error cargo printed"
    # The session below calls `keyfold`, as a person does after installing it.
    PATH=$CARGO_TARGET_DIR/debug:$PATH
    note "$CARGO_TARGET_DIR/debug/keyfold"
}

prepare_mountpoint() {
    case $(mounted type "$mountpoint") in
    "") ;;
    fuse.keyfold)
        if timeout 10 ls -- "$mountpoint" >/dev/null 2>&1; then
            local other
            other=$(mounted source "$mountpoint")
            case $other in
            "$store" | [!/]*) return ;;
            *) fail "cannot mount at $mountpoint" "the store $other is mounted there" "$0 MOUNTPOINT, or $0 $mountpoint $other" ;;
            esac
        fi
        note "$mountpoint is left from a process that ended; unmounting it"
        fusermount3 -uz -- "$mountpoint" 2>/dev/null || umount -l -- "$mountpoint" ||
            fail "cannot unmount $mountpoint" "its process is gone and the mount stayed" "sudo umount -l $mountpoint"
        ;;
    *)
        fail "cannot mount at $mountpoint" "another filesystem is mounted there" "name another directory: $0 MOUNTPOINT"
        ;;
    esac
    mkdir -p -- "$mountpoint" 2>/dev/null ||
        fail "cannot make the directory $mountpoint" "no permission, or a file is in the way" \
            "name another directory: $0 MOUNTPOINT"
    if [ -n "$(ls -A -- "$mountpoint")" ]; then
        fail "cannot mount at $mountpoint" "the directory is not empty, and its files would be hidden" \
            "name an empty directory: $0 MOUNTPOINT"
    fi
    case $store/ in
    "$mountpoint"/*) fail "cannot keep the store in $store" "that is below the mount point" "name a STORE elsewhere" ;;
    esac
}

mount_store() {
    say "Mounting"
    prepare_mountpoint
    if [ "$(mounted type "$mountpoint")" = fuse.keyfold ]; then
        note "a Keyfold store is mounted at $mountpoint already; using it"
        return
    fi
    if [ -d "$store" ] && [ -n "$(ls -A -- "$store")" ]; then
        note "the store $store is there already"
    else
        mkdir -p -- "$(dirname "$store")"
        run keyfold init "$store" || fail "cannot make the store $store" "the message is above" "$0 $mountpoint STORE"
    fi
    run keyfold mount "$store" "$mountpoint" ||
        fail "cannot mount $store at $mountpoint" "the message is above" "keyfold doctor tells what this machine lacks"
    [ "$(mounted type "$mountpoint")" = fuse.keyfold ] ||
        fail "nothing is mounted at $mountpoint" "keyfold mount returned, but the table of mounts does not show it" \
            "keyfold mount --foreground $store $mountpoint shows what happens"
}

# The history of a name, newest first.
history_of() {
    find "$(dirname "$1")/.versions/$(basename "$1")" -mindepth 1 -maxdepth 1 ! -name '*~deleted' -printf '%f\n' | sort -r
}

expect_text() {
    if [ "$(cat -- "$1")" != "$2" ]; then
        fail "$1 is not what it should be" "expected: $2" "please report this with what is printed above"
    fi
}

session() {
    local file=$bucket/letter.txt entry
    drafts=$(mktemp -d)
    trap 'rm -rf "$drafts"' EXIT
    echo "Dear reader, this is the first draft." >"$drafts/first.txt"
    echo "Dear reader, this is the second draft." >"$drafts/second.txt"

    say "A first session"
    run cd "$mountpoint"
    if [ ! -d "$bucket" ]; then
        run mkdir "$bucket"
    else
        note "the bucket is there from an earlier run"
    fi
    run setfattr -n user.s3.versioning -v Enabled "$bucket"

    run cp "$drafts/first.txt" "$file"
    run cp "$drafts/second.txt" "$file"
    run cat "$file"
    expect_text "$file" "$(cat "$drafts/second.txt")"

    run ls "$bucket/.versions/letter.txt"
    entry=$(history_of "$file" | sed -n 2p)
    [ -n "$entry" ] || fail "$file has no earlier version" "the history shows one entry" "please report this"
    run cp "$bucket/.versions/letter.txt/$entry" "$file"
    run cat "$file"
    expect_text "$file" "$(cat "$drafts/first.txt")"

    run getfattr -n user.s3.info --only-values "$file"
    echo
    cd /
}

build
mount_store
session
say "Done"
cat <<END
The store $store stays mounted at $mountpoint.
  unmount:      $(printf 'fusermount3 -u %q' "$mountpoint")
  mount again:  $(printf '%q mount %q %q' "$CARGO_TARGET_DIR/debug/keyfold" "$store" "$mountpoint")
  install:      mount-scripts/install.sh
END
