//! Attributes set or removed on what is not published yet: as many as there are names, however often each is set.

use super::names::{Name, What, classify, find};
use super::{PREFIX, Place, apply, withdraw};
use crate::model::{Kind, Object, Result};

/// Edits to put over an object, at most one of each name.
#[derive(Default)]
pub struct Pending(Vec<One>);

struct One {
    name: Vec<u8>,
    value: Option<Vec<u8>>,
    of: Scope,
}

/// What a name stands for, as far as one name holds others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// All tags.
    Tags,
    /// All of the user's metadata.
    Metadata,
    Tag,
    Pair,
    /// The storage class, which is never gone in between.
    Class,
    Other,
}

/// One spelling of each name, and what it stands for.
fn normal(name: &[u8]) -> (Vec<u8>, Scope) {
    let Name::Own(own) = classify(name) else { return (name.to_vec(), Scope::Other) };
    let scope = match find(Place::File, own).map(|(row, _)| row.what) {
        Some(What::Tags) => Scope::Tags,
        Some(What::Metadata) => Scope::Metadata,
        Some(What::Tag) => Scope::Tag,
        Some(What::Meta) => Scope::Pair,
        Some(What::StorageClass) => Scope::Class,
        _ => Scope::Other,
    };
    let own = if scope == Scope::Pair { own.to_ascii_lowercase() } else { own.to_owned() };
    (format!("{PREFIX}{own}").into_bytes(), scope)
}

impl Pending {
    /// Notes an attribute set, or without a value removed, instead of what was noted of it before.
    pub fn note(&mut self, name: &[u8], value: Option<&[u8]>) {
        let (name, of) = normal(name);
        self.0.retain(|one| {
            let covered = matches!((of, one.of), (Scope::Tags, Scope::Tag) | (Scope::Metadata, Scope::Pair));
            one.name != name && !covered
        });
        self.0.push(One { name, value: value.map(<[u8]>::to_vec), of });
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// They are published.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Puts them over an object. What has a limit in sum has no more on the way than in the end: a whole comes before
    /// what is in it, and all old values go before new ones come.
    ///
    /// # Errors
    /// As [`apply`].
    pub fn put_over(&self, object: &mut Object) -> Result<()> {
        let (wholes, singles): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|one| matches!(one.of, Scope::Tags | Scope::Metadata));
        for one in wholes {
            match &one.value {
                Some(value) => apply(object, &one.name, value)?,
                None => withdraw(object, &one.name)?,
            };
        }
        for one in singles.iter().filter(|one| one.of != Scope::Class) {
            match withdraw(object, &one.name) {
                Err(error) if error.kind() != Kind::NotSet => return Err(error),
                _ => {}
            }
        }
        for one in singles {
            if let Some(value) = &one.value {
                apply(object, &one.name, value)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Pending;
    use crate::vfs::xattr::tests::object;

    #[test]
    fn one_is_left_of_a_name_however_often_it_is_set() {
        let mut pending = Pending::default();
        for n in 0..10_000 {
            pending.note(b"user.s3.tag.x", Some(n.to_string().as_bytes()));
            pending.note(if n % 2 == 0 { b"s3.meta.Y" } else { b"user.s3.meta.y" }, Some(n.to_string().as_bytes()));
        }
        assert_eq!(pending.len(), 2);
        pending.note(b"user.z", None);
        let mut object = object();
        pending.put_over(&mut object).unwrap();
        assert_eq!((object.tags.get("x"), object.metadata.user("y")), (Some("9999"), Some("9999")));
        pending.note(b"user.s3.tags", Some(b"a=1"));
        pending.note(b"user.s3.tag.b", Some(b"2"));
        assert_eq!(pending.len(), 4, "all tags hold each of them");
        pending.put_over(&mut object).unwrap();
        let tags: Vec<_> = object.tags.iter().collect();
        assert_eq!(tags, [("a", "1"), ("b", "2")]);
    }

    /// What is within its limits in the end is so on the way.
    #[test]
    fn what_fits_in_the_end_fits() {
        let mut object = object();
        for n in 0..10 {
            object.tags.set(&format!("t{n}"), "v").unwrap();
        }
        let mut pending = Pending::default();
        for (name, value) in [("t0", None), ("k", Some("1")), ("t1", None), ("t0", Some("2"))] {
            pending.note(format!("user.s3.tag.{name}").as_bytes(), value.map(str::as_bytes));
        }
        pending.put_over(&mut object).unwrap();
        assert_eq!((object.tags.get("k"), object.tags.get("t0"), object.tags.get("t1")), (Some("1"), Some("2"), None));
    }
}
