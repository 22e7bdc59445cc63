# shellcheck shell=bash
# Takes away what a test that was killed leaves: stdin names its directories, and ends when the test's process does.
mapfile -t dirs
left=()
for dir in "${dirs[@]}"; do
    if [ -e "$dir" ]; then left+=("$dir"); fi
done
for dir in "${left[@]}"; do
    # What was mounted last goes first.
    awk -v dir="$dir" '$5 == dir || index($5, dir "/") == 1 { print $5 }' /proc/self/mountinfo | tac |
        while read -r at; do umount --lazy "$at"; done
done
for dir in "${left[@]}"; do
    losetup --list --noheadings --output NAME,BACK-FILE | awk -v dir="$dir" 'index($2, dir "/") == 1 { print $1 }' |
        while read -r device; do losetup --detach "$device"; done
    rm -rf --one-file-system "$dir"
done
