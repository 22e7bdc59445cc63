//! A bucket's quota as people meet it: set from a shell, felt at `write`, shown by `df`.

use super::{Mounted, errno, text};
use nix::errno::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::Write;

const MIB: usize = 1 << 20;

#[test]
fn a_quota_is_set_from_the_shell_and_felt_at_the_first_write_beyond_it() {
    let mounted = Mounted::versioned();
    mounted.sh("setfattr -n user.s3.quota -v 4MiB $M/bkt");
    assert_eq!(mounted.sh("getfattr --absolute-names --only-values -n user.s3.quota $M/bkt"), "4MiB");
    fs::write(mounted.path("a"), vec![1; 3 * MIB]).unwrap();
    // The first write that breaks it, not the close.
    let mut file = File::create(mounted.path("b")).unwrap();
    file.write_all(&vec![2; MIB]).unwrap();
    assert_eq!(errno(file.write_all(&[2])), Errno::EDQUOT);
    drop(file);
    assert_eq!(fs::metadata(mounted.path("b")).unwrap().len(), MIB as u64);
    assert!(mounted.errors().contains("keyfold bucket set bkt quota"), "{}", mounted.errors());
    // An edit makes a version as long as the file.
    let mut file = OpenOptions::new().append(true).open(mounted.path("a")).unwrap();
    assert_eq!(errno(file.write_all(&[3])), Errno::EDQUOT);
    drop(file);
    assert_eq!(errno(fs::copy(mounted.path("a"), mounted.path("c")).map(drop)), Errno::EDQUOT);
    assert_eq!(errno(File::create(mounted.path("d")).unwrap().set_len(1)), Errno::EDQUOT);
    // rm leaves the bytes below a marker; only the history's end makes room.
    fs::remove_file(mounted.path("a")).unwrap();
    assert_eq!(errno(File::create(mounted.path("d")).unwrap().set_len(1)), Errno::EDQUOT);
    mounted.sh("rm $M/bkt/.versions/a/*");
    fs::write(mounted.path("d"), vec![4; 2 * MIB]).unwrap();
    mounted.fsck();
}

#[test]
fn df_tells_the_quota_and_what_it_leaves() {
    let mounted = Mounted::start();
    let df = |at: &str| {
        let line = mounted.sh(&format!("df --output=size,avail -B1 {at} | tail -1"));
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    };
    let whole = df("$M/bkt");
    mounted.sh("mkdir $M/bkt/d");
    let output = mounted.keyfold(&["bucket", "set", mounted.path("").to_str().unwrap(), "quota", "64MiB"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    mounted.sh("head -c 16M /dev/zero > $M/bkt/d/f");
    for at in ["$M/bkt", "$M/bkt/d", "$M/bkt/d/f"] {
        assert_eq!(df(at), (64 << 20, 48 << 20), "{at}");
    }
    assert_eq!(df("$M").0, whole.0, "other places have the disk's room");
    let shown = text(&mounted.keyfold(&["bucket", "show", mounted.path("").to_str().unwrap()]).stdout);
    assert!(shown.contains("64.0 MiB (16.0 MiB used)"), "{shown}");
    mounted.sh("setfattr -x user.s3.quota $M/bkt; ! getfattr -n user.s3.quota $M/bkt 2>&1");
    assert_eq!(df("$M/bkt").0, whole.0);
    for bad in ["much", "-1", "1.5GiB", ""] {
        assert_eq!(errno(xattr::set(mounted.path(""), "user.s3.quota", bad.as_bytes())), Errno::EINVAL, "{bad:?}");
    }
}
