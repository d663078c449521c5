//! Signatures of frames: HMAC with MD5 or SHA1 over the body.
//!
//! Invariants: a name counts as signer only after its signature was verified; digests are compared in constant
//! time; keys are never printed.

use std::collections::HashMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;

use crate::FrameHeader;

/// Headers up to this length never were looked into for a signature; no digest fits into them.
const UNSIGNED_HEADER_BYTES_MAX: usize = 13;

/// Hash functions of signatures; the numbers are those of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SignatureHash {
    /// HMAC-MD5, 16 bytes.
    Md5 = 0,
    /// HMAC-SHA1, 20 bytes.
    Sha1 = 1,
}

impl SignatureHash {
    /// The function with a configured name: `sha1`, else MD5 as in Heka.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        if name == "sha1" { Self::Sha1 } else { Self::Md5 }
    }
}

/// One key, prepared for both functions.
#[derive(Clone)]
struct Key {
    md5: Hmac<Md5>,
    sha1: Hmac<Sha1>,
}

impl Key {
    fn new(key: &[u8]) -> Self {
        let takes_any = "an HMAC takes keys of any length";
        Self {
            md5: Hmac::new_from_slice(key).expect(takes_any),
            sha1: Hmac::new_from_slice(key).expect(takes_any),
        }
    }

    fn digest(&self, hash: SignatureHash, body: &[u8]) -> Vec<u8> {
        match hash {
            SignatureHash::Md5 => {
                self.md5.clone().chain_update(body).finalize().into_bytes().to_vec()
            }
            SignatureHash::Sha1 => {
                self.sha1.clone().chain_update(body).finalize().into_bytes().to_vec()
            }
        }
    }

    fn verifies(&self, hash: SignatureHash, body: &[u8], digest: &[u8]) -> bool {
        match hash {
            SignatureHash::Md5 => self.md5.clone().chain_update(body).verify_slice(digest).is_ok(),
            SignatureHash::Sha1 => {
                self.sha1.clone().chain_update(body).verify_slice(digest).is_ok()
            }
        }
    }
}

/// Signs frames in one name.
#[derive(Clone)]
pub struct Signer {
    name: Box<[u8]>,
    version: u32,
    hash: SignatureHash,
    key: Key,
}

impl Signer {
    /// A signer; `key` may have any length.
    #[must_use]
    pub fn new(name: &str, version: u32, hash: SignatureHash, key: &[u8]) -> Self {
        Self { name: name.as_bytes().into(), version, hash, key: Key::new(key) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Version of its key.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Its hash function.
    #[must_use]
    pub fn hash(&self) -> SignatureHash {
        self.hash
    }

    /// The signature of `body`.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> Vec<u8> {
        self.key.digest(self.hash, body)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({}_{})", String::from_utf8_lossy(&self.name), self.version)
    }
}

/// What a frame's signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// There is no signature, or nobody looked: the frame has no signer, whatever its header says.
    Unsigned,
    /// The signature is that of this signer.
    Signed(&'a [u8]),
    /// There is a signature and it proves nothing: unknown key or hash function, or a wrong digest.
    Refused,
}

/// Keys to verify signatures with, by `<signer>_<version>`.
#[derive(Clone, Default)]
pub struct Keys {
    by_name: HashMap<Vec<u8>, Key>,
}

impl Keys {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key under its configured name, `<signer>_<version>`.
    pub fn add(&mut self, name: &str, key: &[u8]) {
        self.by_name.insert(name.as_bytes().to_vec(), Key::new(key));
    }

    /// Checks the signature of a frame whose header takes `header_bytes`.
    #[must_use]
    pub fn authenticate<'a>(
        &self,
        header: &FrameHeader<'a>,
        header_bytes: usize,
        body: &[u8],
    ) -> Authentication<'a> {
        let Some(digest) = header.hmac else { return Authentication::Unsigned };
        if header_bytes <= UNSIGNED_HEADER_BYTES_MAX {
            return Authentication::Unsigned;
        }
        let hash = match header.hash_function {
            0 => SignatureHash::Md5,
            1 => SignatureHash::Sha1,
            _ => return Authentication::Refused,
        };
        let mut name = header.signer.to_vec();
        name.extend_from_slice(format!("_{}", header.key_version).as_bytes());
        match self.by_name.get(&name) {
            Some(key) if key.verifies(hash, body, digest) => Authentication::Signed(header.signer),
            _ => Authentication::Refused,
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.by_name.keys().map(|name| String::from_utf8_lossy(name));
        formatter.debug_set().entries(names).finish()
    }
}
