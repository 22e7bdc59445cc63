//! Control files over a real store.

use super::{Control, ControlNode, Writer};
use crate::model::{BucketId, BucketName, FileKind, Kind, ObjectKey, Posix, Result, Versioning};
use crate::store::{Options, Promise, PutOptions, Store, UploadOptions};
use crate::telemetry::Metrics;
use std::sync::Arc;

struct World {
    control: Control,
    store: Arc<Store>,
    id: BucketId,
    dir: ControlNode,
    _home: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.store.close().unwrap();
    }
}

fn world() -> World {
    let home = tempfile::tempdir().unwrap();
    Store::init(home.path(), &Options::system()).unwrap();
    let store = Store::open(home.path(), Options::system()).unwrap();
    let posix = Posix::new(FileKind::Directory, 0o755, 0, 0, store.now());
    let id = store.create_bucket(&BucketName::parse("photos").unwrap(), &posix).unwrap().id;
    let control = Control::new(Arc::clone(&store), Arc::new(Metrics::new()));
    World { control, store, id, dir: ControlNode::BucketDir(id), _home: home }
}

impl World {
    fn text(&self, name: &str) -> Option<String> {
        let node = self.control.lookup(&self.dir, name).unwrap()?;
        Some(String::from_utf8(self.control.render(&node).unwrap()).unwrap())
    }

    fn open(&self, name: &str) -> Writer {
        let node = self.control.create(&self.dir, name).unwrap();
        self.control.write(&node, false).unwrap()
    }

    /// As `echo TEXT > NAME` does it.
    fn echo(&self, name: &str, text: &str) -> Result<()> {
        let mut writer = self.open(name);
        writer.write_at(0, text.as_bytes())?;
        writer.flush()
    }

    fn names(&self) -> Vec<String> {
        self.control.list(&self.dir).unwrap().into_iter().map(|(name, _)| name).collect()
    }
}

const TAGS: &str = "{\"TagSet\": [{\"Key\": \"team\", \"Value\": \"blue\"}]}\n";

#[test]
fn ver_1_versioning_json_is_the_bucket_s_state() {
    let world = world();
    assert_eq!(world.text("versioning.json").as_deref(), Some("{}\n"));
    world.echo("versioning.json", "{\"Status\":\"Enabled\"}\n").unwrap();
    assert_eq!(world.store.bucket("photos").unwrap().versioning, Versioning::Enabled);
    assert_eq!(world.text("versioning.json").as_deref(), Some("{\n    \"Status\": \"Enabled\"\n}\n"));
    assert_eq!(world.echo("versioning.json", "{}").unwrap_err().kind(), Kind::InvalidState);
    assert_eq!(world.control.remove(&world.dir, "versioning.json").unwrap_err().kind(), Kind::InvalidState);
    world.echo("versioning.json", "{\"Status\":\"Suspended\"}").unwrap();
    assert_eq!(world.store.bucket("photos").unwrap().versioning, Versioning::Suspended);
}

#[test]
fn a_document_is_replaced_as_a_whole_or_stays() {
    let world = world();
    assert_eq!(world.text("tagging.json"), None);
    world.echo("tagging.json", TAGS).unwrap();
    assert_eq!(world.text("tagging.json").as_deref(), Some(TAGS), "as it was written");
    assert_eq!(world.echo("tagging.json", "{\"Tags\":[]}").unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(world.echo("tagging.json", "tags").unwrap_err().kind(), Kind::InvalidArgument);
    world.echo("tagging.json", "").unwrap();
    assert_eq!(world.text("tagging.json").as_deref(), Some(TAGS));
    world.control.remove(&world.dir, "tagging.json").unwrap();
    assert_eq!(world.text("tagging.json"), None);
    assert_eq!(world.control.remove(&world.dir, "tagging.json").unwrap_err().kind(), Kind::NoSuchKey);
}

#[test]
fn a_document_written_in_pieces_is_judged_when_it_is_whole() {
    let world = world();
    let mut writer = world.open("tagging.json");
    let (first, second) = TAGS.split_at(20);
    writer.write_at(0, first.as_bytes()).unwrap();
    assert_eq!(writer.flush().unwrap_err().kind(), Kind::InvalidArgument, "cp sees it");
    writer.flush().unwrap();
    assert_eq!(world.text("tagging.json"), None);
    writer.write_at(20, second.as_bytes()).unwrap();
    writer.flush().unwrap();
    assert_eq!(world.text("tagging.json").as_deref(), Some(TAGS));
    let node = world.control.lookup(&world.dir, "tagging.json").unwrap().unwrap();
    assert_eq!(world.control.attr(&node).unwrap().size, TAGS.len() as u64);
    let mut writer = world.control.write(&node, true).unwrap();
    assert_eq!(writer.read_at(1, 8), &TAGS.as_bytes()[1..9]);
    writer.truncate(0).unwrap();
    writer.write_at(0, b"{\"TagSet\":[]}").unwrap();
    writer.flush().unwrap();
    assert_eq!(world.text("tagging.json").as_deref(), Some("{\"TagSet\":[]}"));
}

#[test]
fn editors_and_sed_replace_a_document_by_renaming() {
    let world = world();
    world.echo("tagging.json", TAGS).unwrap();
    // vim: a probe, a backup by renaming, the new text, the backup away.
    world.control.create(&world.dir, "4913").unwrap();
    world.control.remove(&world.dir, "4913").unwrap();
    world.control.rename(&world.dir, "tagging.json", "tagging.json~").unwrap();
    assert_eq!(world.text("tagging.json~").as_deref(), Some(TAGS));
    let blue = TAGS.replace("blue", "red");
    world.echo("tagging.json", &blue).unwrap();
    world.control.remove(&world.dir, "tagging.json~").unwrap();
    // sed -i
    let green = TAGS.replace("blue", "green");
    world.echo("sedAbC123", &green).unwrap();
    world.control.rename(&world.dir, "sedAbC123", "tagging.json").unwrap();
    assert_eq!(world.text("tagging.json"), Some(green.clone()));
    world.echo(".tagging.json.Xy12ab", "{").unwrap();
    let refused = world.control.rename(&world.dir, ".tagging.json.Xy12ab", "tagging.json").unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidArgument);
    assert_eq!(world.text("tagging.json"), Some(green));
    assert!(world.names().contains(&".tagging.json.Xy12ab".to_owned()), "the refused text is not lost");
    assert_eq!(world.control.create(&world.dir, "taging.json").unwrap_err().kind(), Kind::InvalidArgument);
}

#[test]
fn documents_without_an_engine_are_refused_with_a_reason() {
    let world = world();
    assert_eq!(world.control.create(&world.dir, "website.json").unwrap_err().kind(), Kind::Unsupported);
    let errors = world.text("errors").unwrap();
    let line: serde_json::Value = serde_json::from_str(errors.lines().next().unwrap()).unwrap();
    assert_eq!((line["bucket"].as_str(), line["code"].as_str()), (Some("photos"), Some("NotImplemented")));
    assert!(line["why"].as_str().unwrap().contains("no engine"));
}

#[test]
fn what_the_store_writes_is_read_only() {
    let world = world();
    let always = ["acl.json", "ownership.json", "public-access-block.json", "request-payment.json"];
    let names: Vec<_> = world.names().into_iter().filter(|name| !always.contains(&name.as_str())).collect();
    assert_eq!(names, ["at", "errors", "events", "lifecycle.preview", "stats.json", "uploads", "versioning.json"]);
    assert_eq!(world.names().len(), names.len() + always.len());
    for name in ["errors", "events", "lifecycle.preview", "stats.json"] {
        let node = world.control.lookup(&world.dir, name).unwrap().unwrap();
        assert_eq!(world.control.write(&node, false).err().unwrap().kind(), Kind::NotPermitted, "{name}");
        assert_eq!(world.control.remove(&world.dir, name).unwrap_err().kind(), Kind::NotPermitted, "{name}");
        assert_eq!(node.mode(), 0o444);
    }
    assert_eq!(world.control.create(&ControlNode::RootDir, "x~").unwrap_err().kind(), Kind::NotPermitted);
}

#[test]
fn state_is_json_metrics_are_text_and_events_grow() {
    let world = world();
    let key = ObjectKey::parse("a/b.txt").unwrap();
    world.store.put("photos", &key, &mut &b"abc"[..], &PutOptions::default()).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&world.text("stats.json").unwrap()).unwrap();
    assert_eq!((stats["objects"].as_i64(), stats["bytes"].as_i64()), (Some(1), Some(3)));
    let root = |name: &str| {
        let node = world.control.lookup(&ControlNode::RootDir, name).unwrap().unwrap();
        String::from_utf8(world.control.render(&node).unwrap()).unwrap()
    };
    let status: serde_json::Value = serde_json::from_str(&root("status.json")).unwrap();
    assert_eq!(status["buckets"].as_i64(), Some(1));
    assert!(root("metrics").contains("keyfold_bucket_bytes{bucket=\"photos\"} 3\n"));
    let events = ControlNode::BucketEvents(world.id);
    let first = world.control.read(&events, 0, 1 << 20).unwrap();
    assert_eq!(world.control.attr(&events).unwrap().size, first.len() as u64);
    let line: serde_json::Value = serde_json::from_slice(&first).unwrap();
    assert_eq!((line["key"].as_str(), line["size"].as_u64()), (Some("a/b.txt"), Some(3)));
    world.store.put("photos", &key, &mut &b"abcd"[..], &PutOptions::default()).unwrap();
    let more = world.control.read(&events, first.len() as u64, 1 << 20).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&more).unwrap();
    assert_eq!(line["size"].as_u64(), Some(4));
    assert!(root("events").as_bytes().ends_with(&more));
}

#[test]
fn mpu_10_uploads_show_their_parts_and_end_by_rm() {
    let world = world();
    let key = ObjectKey::parse("big.bin").unwrap();
    let upload = world.store.create_upload("photos", &key, &UploadOptions::default()).unwrap();
    world.store.put_part(upload, 2, &mut &b"abc"[..], &Promise::default()).unwrap();
    let uploads = world.control.lookup(&world.dir, "uploads").unwrap().unwrap();
    let entries = world.control.list(&uploads).unwrap();
    let [(name, node)] = entries.as_slice() else { panic!("{entries:?}") };
    let shown: serde_json::Value = serde_json::from_slice(&world.control.render(node).unwrap()).unwrap();
    assert_eq!((shown["key"].as_str(), shown["bytes"].as_u64()), (Some("big.bin"), Some(3)));
    assert_eq!(shown["parts"][0]["number"].as_u64(), Some(2));
    assert_eq!(node.parent().as_ref(), Some(&uploads));
    world.control.remove(&uploads, name).unwrap();
    assert!(world.control.list(&uploads).unwrap().is_empty());
    assert_eq!(world.control.remove(&uploads, name).unwrap_err().kind(), Kind::NoSuchKey);
    assert_eq!(world.control.render(node).unwrap_err().kind(), Kind::NoSuchUpload);
}

#[test]
fn at_leads_to_instants_of_the_past() {
    let world = world();
    let at = ControlNode::At(world.id);
    assert!(
        matches!(world.control.lookup(&at, "2026-01-01").unwrap(), Some(ControlNode::AtTime(id, _)) if id == world.id)
    );
    for name in ["9999-01-01", "yesterday", ".."] {
        assert_eq!(world.control.lookup(&at, name).unwrap(), None, "{name}");
    }
    assert!(world.control.list(&at).unwrap().is_empty());
}
