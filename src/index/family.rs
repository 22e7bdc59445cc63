//! Column families: the one list of what the index keeps.

macro_rules! families {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A family of records. The order is the order on no disk: RocksDB knows them by name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Family { $($(#[$doc])* $variant,)* }

        impl Family {
            /// Every family.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// RocksDB's name for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

families! {
    /// Counters of the store itself: id high-water mark, clock high-water mark.
    Sys = "sys",
    /// Bucket name to bucket.
    Bucket = "bucket",
    /// (directory, component) to the current entry: live names only.
    Dent = "dent",
    /// (directory, component, newest first) to older versions, delete markers and dead directories.
    Ver = "ver",
    /// Directory id to the directory.
    Dir = "dir",
    /// Directory id to its counters and times.
    DirStat = "dirstat",
    /// Inode number to a file with several names.
    Ino = "ino",
    /// Content id to a content: inline bytes, extents or the root of a tree.
    Content = "content",
    /// Node id to a node of an extent tree.
    Node = "node",
    /// What is shared to how often; absent means once.
    Refs = "refs",
    /// Contents nobody names any more, freed in the background.
    Gone = "gone",
    /// Segment id to its live bytes.
    Seg = "seg",
    /// Upload id to a multipart upload.
    Upload = "upload",
    /// (upload, part number) to a part.
    Part = "part",
    /// Bucket id to its usage counters.
    Usage = "usage",
    /// Inode number to the change a write session will announce when it ends.
    Unsealed = "unsealed",
    /// Sequence number to a change: the feed.
    Log = "log",
    /// Content id to what clients gave and S3 tells of its bytes: a checksum, the parts it was made of.
    Sums = "sums",
    /// Name to user.
    User = "user",
    /// Id to access key.
    AccessKey = "key",
    /// Name to device of the account's root that shows one-time codes.
    Mfa = "mfa",
    /// (bucket, key, upload id): uploads in the order in which they are listed.
    UploadName = "uploadname",
    /// (instant, directory, component, place): versions that time is about to change, in the order of when.
    Due = "due",
    /// (month, bucket) to what the bucket was used for in that month.
    Meter = "meter",
    /// Directory id to the sum of what lies below it, as far as it has climbed.
    DirSum = "dirsum",
    /// Directory id to what is to climb from it.
    DirTally = "dirtally",
}

impl Family {
    /// Whether stores were made without it, by releases that did not have it.
    pub(super) const fn is_young(self) -> bool {
        matches!(
            self,
            Self::Sums
                | Self::User
                | Self::AccessKey
                | Self::UploadName
                | Self::Due
                | Self::Mfa
                | Self::Meter
                | Self::DirSum
                | Self::DirTally
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Family;

    #[test]
    fn names_are_distinct() {
        let names: std::collections::HashSet<_> = Family::ALL.iter().map(|family| family.name()).collect();
        assert_eq!(names.len(), Family::ALL.len());
    }
}
