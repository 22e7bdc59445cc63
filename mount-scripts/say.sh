# shellcheck shell=bash
# Sourced by the other scripts: how they speak. Progress and errors go to stderr, data to stdout.

# A step begins.
say() { printf '\n== %s\n' "$*" >&2; }

# A detail of the step.
note() { printf '   %s\n' "$*" >&2; }

# An error in three parts: what happened, why, and how to mend it. Returns 1, so that callers end with it.
complain() {
    printf '\nerror: %s\n' "$1" >&2
    if [ -n "${2:-}" ]; then printf 'why: %s\n' "$2" >&2; fi
    if [ -n "${3:-}" ]; then printf 'mend: %s\n' "$3" >&2; fi
    return 1
}

# The same, and the script ends.
fail() {
    complain "$@" || exit 1
}

# Whether a program is there.
have() { command -v "$1" >/dev/null 2>&1; }
