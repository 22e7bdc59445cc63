//! `cp -a`, `mv`, `rsync -aX` and `tar --xattrs` carry tags, metadata, owners, modes and times, and exit 0.

use super::Mounted;

/// A tree with all a copy should carry, and what of it `describe` tells.
const MAKE: &str = "mkdir -p tree/sub/empty; cd tree
    echo hello > a; echo other > sub/b; head -c 300000 /dev/urandom > sub/big
    setfattr -n user.s3.tag.env -v prod a; setfattr -n user.s3.tag.team -v blue a
    setfattr -n user.s3.meta.colour -v 'red & green' a; setfattr -n user.s3.content-type -v text/plain a
    setfattr -n user.s3.cache-control -v 'max-age=60' a; setfattr -n user.comment -v 'of my own' a
    setfattr -n user.note -v dir sub
    chmod 640 a; chmod 750 sub; chown 1234:4321 sub/b; ln a sub/hard; ln -s ../a sub/soft; mkfifo sub/pipe
    touch -d '2001-02-03 04:05:06.123456789' a; touch -h -d '2002-02-02' sub/soft; touch -d '2003-03-03' sub/empty sub .";

const DESCRIBE: &str = "find . -printf '%P %y %m %U:%G %n %l %Ts\\n' | sort; find . -type f | sort | xargs sha256sum
    find . ! -type l ! -type p | sort | while read f; do getfattr -d --absolute-names \"$f\"; done";

fn carried(script: &str, links: bool) {
    let mounted = Mounted::versioned();
    mounted.sh(MAKE);
    let describe = |dir: &str| {
        let said = mounted.sh(&format!("cd {dir}; {DESCRIBE}"));
        // Without -H, rsync makes two files of two names, as it does everywhere.
        if links { said } else { said.replace(" 1234:4321 2 ", " 1234:4321 1 ").replace(" 0:0 2  ", " 0:0 1  ") }
    };
    let before = describe("tree");
    assert!(before.contains("user.s3.tag.env=\"prod\"") && before.contains("user.comment"), "{before}");
    let output = mounted.try_sh(script);
    let said = super::text(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{script}: {} {said}", output.status);
    let after = describe("copy");
    assert_eq!(before, after, "{script}");
}

#[test]
fn cp_a_carries() {
    carried("cp -a tree copy", true);
}

#[test]
fn rsync_ax_carries() {
    carried("rsync -aXH tree/ copy", true);
    carried("rsync -aXH --inplace tree/ copy; rsync -aXH tree/ copy", true);
}

#[test]
fn tar_carries() {
    carried(
        "tar --xattrs --xattrs-include='*' -cf $T/t.tar -C tree . && mkdir copy && tar --xattrs --xattrs-include='*' -xpf $T/t.tar -C copy",
        true,
    );
}

#[test]
fn mv_carries() {
    carried("mv tree copy", true);
}

/// To another filesystem and back: what the other side keeps comes back.
#[test]
fn mv_across_filesystems_carries() {
    carried("mv tree $T/outside && mv $T/outside copy", true);
}

#[test]
fn mv_across_buckets_carries() {
    carried("mkdir $M/other; mv tree $M/other/tree; mv $M/other/tree copy; rmdir $M/other", true);
}

#[test]
fn cp_into_another_bucket_shares_no_history_but_all_bytes() {
    carried("mkdir $M/other; cp -a tree $M/other/tree; cp -a $M/other/tree copy; rm -rf $M/other/tree", true);
}

/// Nothing that S3 computes or sets is listed, so copies have nothing to stumble over.
#[test]
fn copies_out_and_in_again_need_no_rights_of_ours() {
    let mounted = Mounted::versioned();
    mounted.sh("echo 1 > f; setfattr -n user.s3.tag.a -v b f; cp -a f $T/f; rsync -aX f $T/g; cp -p --preserve=all $T/f h; rsync -aX $T/g i");
    for name in ["h", "i"] {
        assert_eq!(mounted.sh(&format!("getfattr -n user.s3.tag.a --only-values {name}")), "b");
        assert_eq!(mounted.sh(&format!("getfattr --absolute-names -d {name} | grep -c =")), "1\n");
    }
}
