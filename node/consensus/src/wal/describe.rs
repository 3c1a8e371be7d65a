//! A segment in words, for `plait debug log`.

use super::record::{Content, HEAD_BYTES, Head, Header, NoHead, Seed};
use plait_base::MemberId;

/// The lines that say what a segment's bytes hold: its head, its records, and how it ends. A segment that can't
/// be read is described as far as it goes.
pub fn describe(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    let (line, head) = head_line(bytes);
    let records = head.into_iter().flat_map(|head| Records::new(bytes, &head));
    std::iter::once(line).chain(records)
}

fn head_line(bytes: &[u8]) -> (String, Option<Head>) {
    match Head::decode(bytes) {
        Ok(head) => {
            let again = if head.reused { ", in a file that was used before" } else { "" };
            let line = format!(
                "head: format {}, cluster {}, member {}, file {}, from record {} on, opened in life {}{again}",
                plait_base::FORMAT,
                head.cluster,
                head.member,
                head.file,
                head.first_sequence,
                head.life
            );
            (line, Some(head))
        }
        Err(NoHead::Format(format)) => {
            let known = plait_base::FORMAT;
            (format!("head: format {format}, which this build (format {known}) doesn't know"), None)
        }
        Err(NoHead::Bad(why)) => {
            // Records can still be checked if the damage spared the cluster's id.
            let head = bytes.get(..HEAD_BYTES).and_then(|head| Head::fields(head).ok());
            let head = head.filter(|head| Header::read(Seed::of(head.cluster), bytes, HEAD_BYTES).is_ok());
            let more = if head.is_some() { "; the records behind it can be checked" } else { "" };
            (format!("head: {why}{more}"), head)
        }
    }
}

/// The lines behind the head's.
struct Records<'a> {
    bytes: &'a [u8],
    seed: Seed,
    at: usize,
    /// Sequence number and check sum of the record before; `None` where that is not known.
    before: Option<(u64, u32)>,
    /// What there is to say about the end, once it was reached.
    end: Option<std::vec::IntoIter<String>>,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8], head: &Head) -> Records<'a> {
        let seed = Seed::of(head.cluster);
        let before = Head::decode(bytes).is_ok().then(|| (head.first_sequence - 1, head.link));
        Records { bytes, seed, at: HEAD_BYTES, before, end: None }
    }

    fn ended(&self, why: &str) -> Vec<String> {
        let at = self.at;
        let rest = self.bytes.get(at..).unwrap_or_default();
        if rest.iter().all(|byte| *byte == 0) {
            return vec![format!("{at}: end; {} bytes of zeros follow", rest.len())];
        }
        let mut lines = vec![format!("{at}: no further record: {why}")];
        let mut stray = Header::all(self.seed, self.bytes, at);
        if let Some((first, header)) = stray.next() {
            let (last, latest) = stray.last().unwrap_or((first, header));
            lines.push(format!(
                "{first}..{last}: whole headers, of record {} of life {} up to record {} of life {}, outside the log",
                header.sequence, header.life, latest.sequence, latest.life
            ));
        }
        lines
    }
}

impl Iterator for Records<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if let Some(end) = &mut self.end {
            return end.next();
        }
        let header = Header::read(self.seed, self.bytes, self.at).and_then(|header| match self.before {
            Some((sequence, link)) if header.sequence != sequence + 1 || header.link != link => {
                Err("a record that doesn't continue the one before it")
            }
            _ => Ok(header),
        });
        match header.and_then(|header| Ok((header, header.content(self.bytes, self.at)?))) {
            Ok((header, content)) => {
                let line = format!("{}: {}", self.at, record_line(&header, &content));
                self.at += header.bytes();
                self.before = Some((header.sequence, header.sum));
                Some(line)
            }
            Err(why) => {
                self.end = Some(self.ended(why).into_iter());
                self.next()
            }
        }
    }
}

fn record_line(header: &Header, content: &Content) -> String {
    let what = match content {
        Content::Entry(entry) => {
            let kind = if entry.kind == 1 { "membership entry" } else { "entry" };
            format!("{kind} {} of term {}, {} bytes", entry.index, entry.term, entry.data.len())
        }
        Content::Hard(hard) => format!("state: {}", hard_words(hard)),
        Content::Boot { epoch } => {
            format!("started as incarnation {}, start {}", epoch.0 >> 32, epoch.0 & 0xffff_ffff)
        }
        Content::Base { from, base, fresh, kept } => {
            let how = if *fresh { "the log begins anew" } else { "the log is cut" };
            format!(
                "{how} after entry {} of term {}, records from {from} on are needed; {}, epoch {}, {} bytes of membership",
                base.0,
                base.1,
                hard_words(&kept.hard),
                kept.epoch,
                kept.conf.len()
            )
        }
    };
    let more = if header.open { " (the group goes on)" } else { "" };
    format!("record {} of life {}, {} on disk: {what}{more}", header.sequence, header.life, header.durable)
}

fn hard_words(hard: &super::HardState) -> String {
    let vote = match MemberId::from_raft(hard.vote) {
        Some(member) => format!("vote for {member}"),
        None => "no vote".to_owned(),
    };
    format!("term {}, {vote}, committed up to {}", hard.term, hard.commit)
}
