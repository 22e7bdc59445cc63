//! From what was asked for to what each part is told: mounts and buckets' documents.

use crate::config::{Atime, Durability, MountSettings, XattrList};
use crate::model::{Bucket, Error, Kind, Result};
use crate::store::{DOCUMENTS, Document, Store};
use crate::{fuse, vfs};
use std::path::Path;

/// What the file view is told.
pub(super) fn of_the_view(settings: &MountSettings, nodes_max: usize) -> vfs::Settings {
    let nodes_max = Some(nodes_max);
    vfs::Settings {
        nodes_max,
        bucket: settings.bucket.as_ref().map(|(name, prefix)| (name.to_string(), prefix.clone())),
        as_of: settings.as_of,
        read_only: settings.read_only,
        durability: match settings.durability {
            Durability::Fsync => vfs::Durability::Fsync,
            Durability::Close => vfs::Durability::Close,
        },
        publish_interval: settings.publish_interval,
        masks: vfs::Masks { uid: settings.uid, gid: settings.gid, fmask: settings.fmask, dmask: settings.dmask },
        reserved: settings.reserved.clone(),
        show_hidden: settings.show_hidden,
        xattr_list: match settings.xattr_list {
            XattrList::Copy => vfs::xattr::XattrList::Copy,
            XattrList::User => vfs::xattr::XattrList::User,
            XattrList::All => vfs::xattr::XattrList::All,
        },
    }
}

/// What the kernel is told.
pub(super) fn of_the_kernel(settings: &MountSettings, store: &Path) -> fuse::MountSettings {
    fuse::MountSettings {
        fsname: settings.fsname.clone().unwrap_or_else(|| store.display().to_string()),
        subtype: settings.subtype.clone(),
        allow_other: settings.allow_other,
        allow_root: settings.allow_root,
        default_permissions: settings.default_permissions,
        read_only: settings.read_only,
        dev: settings.dev,
        suid: settings.suid,
        exec: settings.exec,
        noatime: settings.atime == Atime::Never,
        threads: settings.threads.unwrap_or_default(),
    }
}

/// The kind of document a setting is.
pub(super) fn document(setting: &str) -> Result<&'static Document> {
    Document::named(setting).ok_or_else(|| {
        let names: Vec<_> = DOCUMENTS.iter().map(|document| document.name).collect();
        Error::new(Kind::InvalidArgument, format!("a bucket has no setting {setting:?}"))
            .why(format!("its settings are quota, {}", names.join(", ")))
            .mend("choose one of them")
    })
}

/// Replaces or removes a bucket's document.
pub(super) fn change(store: &Store, bucket: &Bucket, setting: &str, text: Option<&str>) -> Result<()> {
    let document = document(setting)?;
    match text {
        Some(text) => document.replace(store, bucket, text.as_bytes()),
        None => document.unset(store, bucket),
    }
}
