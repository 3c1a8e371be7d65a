//! How a value of each kind is written: `25ms`, `10s`, `64MiB`, `true`, `10,13,16`.

use plait_base::{ClusterId, Slot};
use plait_replica::Reads;
use std::path::PathBuf;
use std::time::Duration;

/// A kind of value that a key can have. What `show` writes, `read` reads.
pub trait Setting: Sized {
    /// The kind in words, for an error.
    const KIND: &'static str;
    fn show(&self) -> String;
    /// `None` if the text is not of this kind.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! integer {
    ($($kind:ty),*) => {$(
        impl Setting for $kind {
            const KIND: &'static str = "a whole number, or one with KiB, MiB or GiB behind it";
            fn show(&self) -> String {
                let shift = [30, 20, 10].into_iter().find(|shift| *self != 0 && *self % (1 << shift) == 0);
                match shift {
                    Some(30) => format!("{}GiB", self >> 30),
                    Some(20) => format!("{}MiB", self >> 20),
                    Some(_) => format!("{}KiB", self >> 10),
                    None => self.to_string(),
                }
            }
            fn read(text: &str) -> Option<$kind> {
                let text = text.replace('_', "");
                let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
                let factor = match unit.trim() {
                    "" => 1,
                    "KiB" => 1 << 10,
                    "MiB" => 1 << 20,
                    "GiB" => 1 << 30,
                    _ => return None,
                };
                digits.parse::<$kind>().ok()?.checked_mul(factor)
            }
        }
    )*};
}

integer!(u32, u64, usize);

impl Setting for bool {
    const KIND: &'static str = "true or false (on or off)";
    fn show(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            _ => None,
        }
    }
}

impl Setting for Duration {
    const KIND: &'static str = "a span with its unit, as in 25ms or 10s";
    fn show(&self) -> String {
        if self.subsec_nanos() == 0 {
            format!("{}s", self.as_secs())
        } else if self.subsec_micros().is_multiple_of(1000) {
            format!("{}ms", self.as_millis())
        } else {
            format!("{}us", self.as_micros())
        }
    }
    fn read(text: &str) -> Option<Duration> {
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let n: u64 = digits.parse().ok()?;
        match unit.trim() {
            "us" => Some(Duration::from_micros(n)),
            "ms" => Some(Duration::from_millis(n)),
            "s" => Some(Duration::from_secs(n)),
            "m" => n.checked_mul(60).map(Duration::from_secs),
            _ => None,
        }
    }
}

impl Setting for String {
    const KIND: &'static str = "text";
    fn show(&self) -> String {
        self.clone()
    }
    fn read(text: &str) -> Option<String> {
        Some(text.to_owned())
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "a path";
    fn show(&self) -> String {
        self.display().to_string()
    }
    fn read(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }
}

impl Setting for [u32; 3] {
    const KIND: &'static str = "three whole numbers, as in [10, 13, 16]";
    fn show(&self) -> String {
        format!("{},{},{}", self[0], self[1], self[2])
    }
    fn read(text: &str) -> Option<[u32; 3]> {
        let numbers: Option<Vec<u32>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        numbers?.try_into().ok()
    }
}

impl Setting for Reads {
    const KIND: &'static str = "lease, index or local";
    fn show(&self) -> String {
        self.word().to_owned()
    }
    fn read(text: &str) -> Option<Reads> {
        Reads::ALL.into_iter().find(|reads| reads.word() == text)
    }
}

impl Setting for Slot {
    const KIND: &'static str = "1, 2 or 3";
    fn show(&self) -> String {
        self.get().to_string()
    }
    fn read(text: &str) -> Option<Slot> {
        Slot::new(text.strip_prefix('n').unwrap_or(text).parse().ok()?)
    }
}

impl Setting for ClusterId {
    const KIND: &'static str = "a UUID, as in 6f1c0a34-7d52-4f0b-9b56-0c1b7e1f2a90";
    fn show(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<ClusterId> {
        let digits: Vec<u32> =
            text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
        (digits.len() == 32).then(|| ClusterId(bytes.try_into().expect("32 digits are 16 bytes")))
    }
}
