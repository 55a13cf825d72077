//! RFC 6962 tree hashing over write-once files (L5): leaves are files, the frontier extends.

use serde::{Deserialize, Serialize};

use crate::domain::id::Digest;

/// The leaf of one write-once file: SHA-256(0x00 ‖ path ‖ 0x00 ‖ bytes).
#[must_use]
pub fn leaf(path: &str, bytes: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], path.as_bytes(), &[0], bytes])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.to_bytes(), &right.to_bytes()])
}

/// The roots of the complete subtrees a tree of this size is made of, largest first: all that is
/// needed to append and to compute the root.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

impl Frontier {
    /// Takes a frontier back from a seal.
    ///
    /// Returns nothing when the number of subtrees does not fit the size.
    #[must_use]
    pub fn from_parts(size: u64, roots: Vec<Digest>) -> Option<Self> {
        (size.count_ones() as usize == roots.len()).then_some(Self { size, roots })
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, largest first.
    #[must_use]
    pub fn roots(&self) -> &[Digest] {
        &self.roots
    }

    /// Appends one leaf.
    ///
    /// # Panics
    /// Never: the number of roots always fits the size.
    pub fn push(&mut self, leaf: Digest) {
        let mut root = leaf;
        // Every trailing one bit of the old size is a subtree of the same height: they merge.
        for _ in 0..self.size.trailing_ones() {
            let left = self.roots.pop().expect("a root for each one bit of the size");
            root = node(&left, &root);
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// The root hash; SHA-256 of nothing for an empty tree, as RFC 6962 says.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else {
            return Digest::of(b"");
        };
        roots.fold(last.clone(), |right, left| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1, word for word, quadratic: the independent oracle.
    fn naive(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => one.clone(),
            many => {
                let mut k = 1;
                while k * 2 < many.len() {
                    k *= 2;
                }
                Digest::of_parts(&[
                    &[1],
                    &naive(&many[..k]).to_bytes(),
                    &naive(&many[k..]).to_bytes(),
                ])
            }
        }
    }

    #[test]
    fn every_size_has_the_root_rfc_6962_gives() {
        let leaves: Vec<_> = (0..70u8).map(|n| leaf("p", &[n])).collect();
        let mut frontier = Frontier::default();
        for (n, leaf) in leaves.iter().enumerate() {
            assert_eq!(frontier.root(), naive(&leaves[..n]), "size {n}");
            frontier.push(leaf.clone());
            let roots = frontier.roots().to_vec();
            assert_eq!(Frontier::from_parts(frontier.size(), roots), Some(frontier.clone()));
        }
    }
}
