//! `mysql_native_password` and `caching_sha2_password`: the client proves that it knows a password, and the server
//! keeps none.
//!
//! The server keeps `SHA1(SHA1(password))`. The client sends `SHA1(password) XOR SHA1(salt ‖ SHA1(SHA1(password)))`.
//! Whoever knows what the server keeps can take the mask off, and the rest must hash to what it keeps. It is as
//! weak as SHA-1 and an unsalted store are; it is here because every client speaks it.

use sha1::{Digest, Sha1};

/// The plugin's name on the wire.
pub const NATIVE: &str = "mysql_native_password";

/// The other plugin that is spoken: `caching_sha2_password`, in its short form alone. The server keeps
/// `SHA256(SHA256(password))` of each user from the beginning, so the long form, for which a client would have to
/// send its password, is never needed.
pub const SHA2: &str = "caching_sha2_password";

/// The challenge of one connection.
pub const SALT_BYTES: usize = 20;

/// What a server keeps of a password: `SHA1(SHA1(password))` and `SHA256(SHA256(password))`; `None` stands for an
/// empty password.
pub type Stored = Option<([u8; 20], [u8; 32])>;

/// What to keep of a password.
pub fn stored(password: &str) -> Stored {
    let password = password.as_bytes();
    (!password.is_empty()).then(|| (sha1(&[&sha1(&[password])]), sha2(&[&sha2(&[password])])))
}

/// What a client answers to a salt. A server needs it for tests alone.
pub fn scramble(password: &str, salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let Some((kept, _)) = stored(password) else { return Vec::new() };
    let once = sha1(&[password.as_bytes()]);
    let mask = sha1(&[salt, &kept]);
    once.iter().zip(mask).map(|(a, b)| a ^ b).collect()
}

/// Whether `answer` proves the password of which `kept` is kept.
pub fn proves(answer: &[u8], salt: &[u8; SALT_BYTES], kept: &Stored) -> bool {
    let Some((kept, kept_sha2)) = kept else { return answer.is_empty() };
    if let Ok(answer) = <[u8; 32]>::try_from(answer) {
        // SHA256(password) XOR SHA256(SHA256(SHA256(password)) ‖ salt)
        let mask = sha2(&[kept_sha2, salt]);
        let mut once = [0; 32];
        for (i, byte) in once.iter_mut().enumerate() {
            *byte = answer[i] ^ mask[i];
        }
        return sha2(&[&once]).iter().zip(kept_sha2).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0;
    }
    let Ok(answer) = <[u8; 20]>::try_from(answer) else { return false };
    let mask = sha1(&[salt, kept]);
    let mut once = [0; 20];
    for (i, byte) in once.iter_mut().enumerate() {
        *byte = answer[i] ^ mask[i];
    }
    // Compared without a branch on the bytes, so that time tells nothing.
    sha1(&[&once]).iter().zip(kept).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// What a client of the other plugin answers to a salt.
pub fn scramble_sha2(password: &str, salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let Some((_, kept)) = stored(password) else { return Vec::new() };
    let once = sha2(&[password.as_bytes()]);
    once.iter().zip(sha2(&[&kept, salt])).map(|(a, b)| a ^ b).collect()
}

fn sha2(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = sha2::Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// Makes random bytes fit for a salt: the protocol ends it with a zero, and old clients stop at a `$` too.
pub(super) fn salt(random: [u8; SALT_BYTES]) -> [u8; SALT_BYTES] {
    random.map(|byte| match byte & 0x7f {
        0 => 1,
        b'$' => b'%',
        other => other,
    })
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
