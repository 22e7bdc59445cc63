//! Strangers at the socket of a process that serves a store.

use super::super::bench::Bench;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

fn mounted() -> Bench {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
    bench.mount();
    bench
}

fn connect(bench: &Bench) -> UnixStream {
    UnixStream::connect(bench.store.join("control.sock")).unwrap()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

/// Everything that is answered until the end.
fn answer(mut stream: UnixStream, sent: &[u8]) -> String {
    // The process may have had enough before all is sent.
    let _ = stream.write_all(sent);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn what_is_no_request_is_refused_and_the_next_is_served() {
    let bench = mounted();
    let request = |text: &str| framed(format!("{{\"protocol\":1,\"request\":{text}}}").as_bytes());
    let deep = ["[".repeat(100_000), "{\"a\":".repeat(100_000)];
    let mut cases = vec![
        u32::MAX.to_le_bytes().to_vec(),
        (4u32 << 20).saturating_add(1).to_le_bytes().to_vec(),
        [&u32::MAX.to_le_bytes()[..], &vec![b'['; 8 << 20]].concat(),
        framed(&vec![b' '; 4 << 20]),
        framed(b""),
        framed(b"\xff\xfe"),
        framed(b"null"),
        framed(deep[0].as_bytes()),
        request(&deep[1]),
        request("\"NoSuchThing\""),
        request("{\"List\":{\"target\":7}}"),
        framed(b"{\"protocol\":4294967296,\"request\":\"Status\"}"),
        framed(b"{\"protocol\":2,\"request\":\"Status\"}"),
        framed(b"half").into_iter().take(6).collect(),
        vec![1, 0],
    ];
    cases.extend((0..64).map(|n| framed(&vec![n * 4; usize::from(n)])));
    for case in cases {
        let heard = answer(connect(&bench), &case);
        assert!(heard.contains("\"Failed\""), "{:?} was answered {heard:?}", &case[..case.len().min(40)]);
    }
    assert!(answer(connect(&bench), &request("\"Status\"")).contains("\"Done\""));
    bench.umount();
}

/// More than are served at once say nothing, or half of something; somebody else is answered while they still wait.
#[test]
fn who_says_nothing_keeps_nobody_waiting() {
    let bench = mounted();
    let silent: Vec<UnixStream> = (0..200)
        .map(|n| {
            let mut stream = connect(&bench);
            stream.write_all(&framed(b"{\"protocol\":1,")[..n % 10]).unwrap();
            stream
        })
        .collect();
    bench.ok(&["status"]);
    for mut stream in silent {
        stream.set_nonblocking(true).unwrap();
        let told = stream.read(&mut [0; 16]);
        assert!(matches!(&told, Err(error) if error.kind() == ErrorKind::WouldBlock), "it was let go first: {told:?}");
    }
    bench.umount();
}

/// Who follows the feed of changes waits for ever: some may, and everybody else is served.
#[test]
fn who_follows_keeps_nobody_waiting() {
    let bench = mounted();
    let request = framed(b"{\"protocol\":1,\"request\":{\"Events\":{\"bucket\":null,\"after\":0,\"follow\":true}}}");
    let mut followers: Vec<UnixStream> = (0..80)
        .map(|_| {
            let mut stream = connect(&bench);
            stream.write_all(&request).unwrap();
            stream
        })
        .collect();
    bench.ok(&["status"]);
    bench.ok(&["bucket", "create", "photos"]);
    // Each is followed by a word now and then, or refused with one.
    let mut follow = 0;
    for stream in &mut followers {
        let mut heard = [0; 4096];
        let count = stream.read(&mut heard).unwrap();
        let text = String::from_utf8_lossy(&heard[..count]).into_owned();
        assert!(text.contains("Alive") || text.contains("StoreBusy"), "{text}");
        follow += usize::from(text.contains("Alive"));
    }
    assert_eq!(follow, 32);
    // Who goes makes room.
    drop(followers);
    let mut tries = 0;
    loop {
        let mut stream = connect(&bench);
        stream.write_all(&request).unwrap();
        let mut heard = [0; 4096];
        let count = stream.read(&mut heard).unwrap();
        if String::from_utf8_lossy(&heard[..count]).contains("Alive") {
            break;
        }
        tries += 1;
        assert!(tries < 1000, "no place became free");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    bench.umount();
}

#[test]
fn thousands_of_connections_come_and_go() {
    let bench = mounted();
    for n in 0..3000 {
        let mut stream = connect(&bench);
        if n % 3 == 0 {
            let _ = stream.write_all(&[0xff; 3]);
        }
    }
    bench.ok(&["status"]);
    bench.umount();
}

/// The socket and the store's directory are their owner's alone; a link in its place is not followed.
#[test]
fn the_socket_is_its_owners() {
    let bench = mounted();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.store.join("control.sock")), 0o600);
    if keyfold::sys::process::effective_uid() == 0 {
        std::fs::set_permissions(bench.store.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&bench.store, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(bench.store.join("control.sock"), PermissionsExt::from_mode(0o666)).unwrap();
        // Another user who gets through all the same is told no, whatever is asked.
        let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                      b=b'{\"protocol\":1,\"request\":\"Status\"}'\ns.sendall(len(b).to_bytes(4,'little')+b)\n\
                      print(s.makefile('rb').read())";
        let mut other = std::process::Command::new("python3");
        std::os::unix::process::CommandExt::uid(&mut other, 65_534);
        let heard = other.args(["-c", script]).arg(bench.store.join("control.sock")).output().unwrap();
        let text = String::from_utf8_lossy(&heard.stdout).into_owned();
        assert!(text.contains("Denied") && !text.contains("uuid"), "{heard:?}");
    }
    bench.umount();
    let other = mounted();
    std::os::unix::fs::symlink(other.store.join("control.sock"), bench.store.join("control.sock")).unwrap();
    assert_ne!(bench.pid(), other.pid());
    other.umount();
}
