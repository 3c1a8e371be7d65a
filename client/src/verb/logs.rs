//! `plait logs`: what the processes themselves wrote.

use crate::cli::Ctx;
use crate::fail::{Fail, Res, nearest};
use crate::say;
use serde_json::json;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much of a log's end is read to find its last lines.
const TAIL_BYTES_MAX: u64 = 1 << 20;
const WHO: [&str; 4] = ["n1", "n2", "n3", "supervise"];
/// Between two looks for new lines.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The last lines of a file; a note in their place if there are none.
pub fn tail(path: &Path, lines: usize) -> String {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES_MAX)))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).into_owned())
    };
    let text = match read() {
        Ok(text) => text,
        Err(e) => return format!("({}: {e})", path.display()),
    };
    let all: Vec<&str> = text.lines().collect();
    if all.is_empty() {
        "(its log is empty)".into()
    } else {
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

pub async fn run(ctx: &Ctx, who: Option<&str>, lines: usize, follow: bool) -> Res<()> {
    if !ctx.place.dir().exists() {
        return Err(ctx.place.missing());
    }
    let chosen: Vec<&str> = match who {
        None => WHO.to_vec(),
        Some(who) => vec![WHO.into_iter().find(|known| *known == who).ok_or_else(|| {
            let fail = Fail::usage(
                format!("there is no log of '{who}'"),
                format!("logs are kept of {}", WHO.join(", ")),
            );
            match nearest(who, WHO) {
                Some(near) => fail.next(format!("did you mean {near}?")),
                None => fail.next("name one of them"),
            }
        })?],
    };
    let paths: Vec<(&str, PathBuf)> = chosen.iter().map(|who| (*who, ctx.place.log(who))).collect();
    let texts: Vec<(&str, String)> = paths.iter().map(|(who, path)| (*who, tail(path, lines))).collect();
    let document =
        texts.iter().map(|(who, text)| json!({ "who": who, "lines": text.lines().collect::<Vec<_>>() }));
    ctx.say.result("logs", json!({ "logs": document.collect::<Vec<_>>() }), || {
        let mut all = String::new();
        for ((who, text), (_, path)) in texts.iter().zip(&paths) {
            if texts.len() > 1 {
                all.push_str(&format!("{}\n", ctx.say.strong(&format!("== {who}  {}", path.display()))));
            }
            all.push_str(text);
            all.push('\n');
        }
        all
    });
    if !follow {
        return Ok(());
    }
    let mut at: Vec<u64> =
        paths.iter().map(|(_, path)| std::fs::metadata(path).map_or(0, |meta| meta.len())).collect();
    loop {
        for ((who, path), at) in paths.iter().zip(&mut at) {
            for line in grown(path, at) {
                say::print_line(&if paths.len() > 1 { format!("{who}  {line}") } else { line });
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The whole lines that were added since; a file that became shorter is read from its beginning.
fn grown(path: &Path, at: &mut u64) -> Vec<String> {
    let Ok(mut file) = std::fs::File::open(path) else { return Vec::new() };
    let length = file.metadata().map_or(0, |meta| meta.len());
    if length < *at {
        *at = 0;
    }
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(*at)).is_err() || file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes).is_err()
    {
        return Vec::new();
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    *at += whole as u64;
    String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_followed_by_whole_lines() {
        let path = std::env::temp_dir().join(format!("plait-tail-{}", std::process::id()));
        std::fs::write(&path, "a\nb\nc").expect("a temporary file");
        assert_eq!(tail(&path, 2), "b\nc");
        let mut at = 0;
        assert_eq!(grown(&path, &mut at), ["a", "b"]);
        std::fs::write(&path, "a\nb\ncd\n").expect("a temporary file");
        assert_eq!(grown(&path, &mut at), ["cd"]);
        std::fs::write(&path, "x\n").expect("a temporary file");
        assert_eq!(grown(&path, &mut at), ["x"], "a rotated log is read from its beginning");
        std::fs::remove_file(path).expect("it is ours");
    }
}
