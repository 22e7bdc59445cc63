//! Texts of control files that are open: who opened one file while it said the same shares one copy.

use super::ControlNode;
use crate::sys::sync::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The newest text of each file that somebody has open. A lock that is taken alone.
#[derive(Default)]
pub(super) struct Texts(Mutex<HashMap<ControlNode, Weak<Vec<u8>>>>);

impl Texts {
    /// The text as somebody has it already, or as it is.
    pub(super) fn share(&self, node: &ControlNode, text: Vec<u8>) -> Arc<Vec<u8>> {
        let mut open = self.0.lock();
        open.retain(|_, text| text.strong_count() > 0);
        if let Some(known) = open.get(node).and_then(Weak::upgrade).filter(|known| **known == text) {
            return known;
        }
        let text = Arc::new(text);
        open.insert(node.clone(), Arc::downgrade(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlNode, Texts};
    use std::sync::Arc;

    #[test]
    fn texts_that_are_the_same_are_kept_once_and_only_while_open() {
        let texts = Texts::default();
        let first = texts.share(&ControlNode::RootErrors, b"one".to_vec());
        assert!(Arc::ptr_eq(&first, &texts.share(&ControlNode::RootErrors, b"one".to_vec())));
        let other = texts.share(&ControlNode::RootErrors, b"two".to_vec());
        assert_eq!((first.as_slice(), other.as_slice()), (&b"one"[..], &b"two"[..]));
        drop((first, other));
        drop(texts.share(&ControlNode::RootStatus, Vec::new()));
        assert_eq!(texts.0.lock().len(), 1);
    }
}
