//! Messages on a byte stream: a header with a length, then JSON. Whatever else comes is told apart and passed over, so
//! that a client's slip costs it one message and not the session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The longest message that is taken, bytes. It bounds what a client can make the server hold.
pub const LONGEST_MESSAGE: u64 = 256 << 20;
/// The longest header line, bytes.
const LONGEST_HEADER: u64 = 4096;
/// Up to this length, messages need no room.
const SMALL: u64 = 64 << 10;
/// What is read at a time of longer ones, and what their room is counted in.
const PIECE: u64 = 1 << 20;
/// What the messages that are being read may hold together, in pieces: four of the longest.
const MOST_PIECES: usize = 4 * (LONGEST_MESSAGE / PIECE) as usize;
/// How long a message waits for others to make room.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the messages that are being read may hold, of all readers that share it. Only what has come is counted, so that
/// whoever announces a long message and doesn't send it takes no room. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Room {
    pieces: Arc<Semaphore>,
    /// How long a message waits for others to make room.
    patience: Duration,
}

impl Room {
    fn new(pieces: usize, patience: Duration) -> Room {
        Room { pieces: Arc::new(Semaphore::new(pieces)), patience }
    }
}

impl Default for Room {
    fn default() -> Room {
        Room::new(MOST_PIECES, PATIENCE)
    }
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// The body of a message.
    Body(Vec<u8>),
    /// Something that isn't one, and why. Told once for a stretch of it.
    Garbage(String),
}

/// Reads messages.
pub struct FrameReader<R> {
    from: BufReader<R>,
    in_garbage: bool,
    room: Room,
    /// What the last message holds of it, until the next one is asked for.
    held: Option<OwnedSemaphorePermit>,
}

/// A line of a header.
enum HeaderLine {
    End,
    Length(u64),
    Other,
    Garbage(String),
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `from`.
    pub fn new(from: R) -> Self {
        FrameReader::within(from, Room::default())
    }

    /// Reads from `from`, within the room that there is for all.
    pub fn within(from: R, room: Room) -> Self {
        FrameReader { from: BufReader::new(from), in_garbage: false, room, held: None }
    }

    /// The next frame; `None` at the stream's end, a message that breaks off included.
    ///
    /// # Errors
    /// When the stream can't be read.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        // Whoever had the last message has done with it.
        self.held = None;
        let (mut length, mut has_header) = (None, false);
        loop {
            let mut line = Vec::new();
            if (&mut self.from).take(LONGEST_HEADER).read_until(b'\n', &mut line).await? == 0 {
                return Ok(None);
            }
            let garbage = match header_line(&line) {
                HeaderLine::Length(given) => {
                    (length, has_header) = (Some(given), true);
                    continue;
                }
                HeaderLine::Other => {
                    has_header = true;
                    continue;
                }
                HeaderLine::End => match length {
                    Some(length) if length <= LONGEST_MESSAGE => return self.body(length).await,
                    Some(length) => format!("a message of {length} bytes is longer than {LONGEST_MESSAGE}"),
                    None if has_header => "a header has no Content-Length".to_owned(),
                    // Blank lines between messages.
                    None => continue,
                },
                HeaderLine::Garbage(why) => why,
            };
            (length, has_header) = (None, false);
            if !std::mem::replace(&mut self.in_garbage, true) {
                return Ok(Some(Frame::Garbage(garbage)));
            }
        }
    }

    async fn body(&mut self, length: u64) -> io::Result<Option<Frame>> {
        self.in_garbage = false;
        let mut body = Vec::new();
        while (body.len() as u64) < length {
            let left = length - body.len() as u64;
            if length > SMALL && !self.has_room().await {
                drop(body);
                self.held = None;
                let whole = self.pass_over(left).await?;
                let why = format!(
                    "a message of {length} bytes came while others hold all the room that there is for long ones; \
                     say it again later"
                );
                return Ok(whole.then_some(Frame::Garbage(why)));
            }
            let piece = if length > SMALL { left.min(PIECE) } else { left };
            if (&mut self.from).take(piece).read_to_end(&mut body).await? as u64 != piece {
                return Ok(None);
            }
        }
        Ok(Some(Frame::Body(body)))
    }

    /// Waits for room for one more piece, for a while.
    async fn has_room(&mut self) -> bool {
        let wait = self.room.pieces.clone().acquire_owned();
        let Ok(Ok(more)) = timeout(self.room.patience, wait).await else { return false };
        match &mut self.held {
            Some(held) => held.merge(more),
            held => *held = Some(more),
        }
        true
    }

    /// Reads what isn't wanted; gives whether all of it came.
    async fn pass_over(&mut self, length: u64) -> io::Result<bool> {
        let mut rest = (&mut self.from).take(length);
        Ok(tokio::io::copy_buf(&mut rest, &mut tokio::io::sink()).await? == length)
    }
}

fn header_line(line: &[u8]) -> HeaderLine {
    const LENGTH: &[u8] = b"content-length:";
    if line.trim_ascii().is_empty() {
        return HeaderLine::End;
    }
    // What comes before the name on the same line is the rest of something broken, which ended without a line's end.
    let lower = line.to_ascii_lowercase();
    if let Some(at) = memchr::memmem::rfind(&lower, LENGTH) {
        let value = String::from_utf8_lossy(line[at + LENGTH.len()..].trim_ascii());
        return match value.parse() {
            Ok(length) => HeaderLine::Length(length),
            Err(_) => HeaderLine::Garbage(format!("Content-Length is not a number: {value}")),
        };
    }
    let name = line.split(|&b| b == b':').next().unwrap_or(line);
    let is_name = name.len() < line.len() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    match is_name {
        true => HeaderLine::Other,
        false => HeaderLine::Garbage("what came is neither a header nor a message".to_owned()),
    }
}

/// Puts U+FFFD where the JSON of `body` has half a surrogate pair, by an escape: it stands for no character, so that no
/// parser takes it, but editors whose strings are UTF-16 send it when somebody cuts an emoji in halves. U+FFFD is one
/// UTF-16 unit too, so that columns stay right.
pub fn replace_halves(body: &mut [u8]) {
    let Some(mut at) = memchr::memmem::find(body, b"\\u") else { return };
    // From the string's beginning on: a backslash may be escaped itself.
    at = memchr::memrchr(b'"', &body[..at]).unwrap_or(0);
    while let Some(next) = memchr::memchr(b'\\', &body[at..]) {
        at += next;
        at += match escaped_unit(&body[at..]) {
            None => 2,
            Some(0xd800..=0xdbff) if matches!(escaped_unit(&body[at + 6..]), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                body[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
            Some(_) => 6,
        };
        at = at.min(body.len());
    }
}

/// `body` with U+FFFD for what isn't UTF-8, as editors send it whose strings are bytes; `None` when all of it is. Half a
/// surrogate pair is one U+FFFD.
pub fn as_text(body: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(body).err()?;
    let mut body = body.to_vec();
    let is_half = |bytes: &[u8]| matches!(bytes, [0xed, 0xa0..=0xbf, 0x80..=0xbf]);
    for at in 0..body.len().saturating_sub(2) {
        if is_half(&body[at..at + 3]) {
            body[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    Some(String::from_utf8_lossy(&body).into_owned().into_bytes())
}

/// The UTF-16 unit whose escape `json` begins with.
fn escaped_unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

/// `body` as a frame.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    frame.extend_from_slice(body);
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    async fn frames(bytes: &[u8]) -> Vec<Result<String, String>> {
        let mut reader = FrameReader::new(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next().await.unwrap() {
            frames.push(match frame {
                Frame::Body(body) => Ok(String::from_utf8(body).unwrap()),
                Frame::Garbage(why) => Err(why),
            });
        }
        frames
    }

    #[tokio::test]
    async fn messages_come_one_by_one_with_any_headers() {
        let bytes = b"Content-Length: 2\r\nContent-Type: x; charset=utf-8\r\nX: y\r\n\r\n{}content-length:3\n\n[1]";
        assert_eq!(frames(bytes).await, [Ok("{}".to_owned()), Ok("[1]".to_owned())]);
    }

    #[tokio::test]
    async fn garbage_is_told_once_and_passed_over() {
        for garbage in
            ["foobar", "foobar\r\n\r\nmore\n", "Content-Length: x\r\n\r\n", "A: b\r\n\r\n", "\0\u{1}\n{\"a\":1}\n"]
        {
            let bytes = [garbage.as_bytes(), b"Content-Length: 2\r\n\r\n{}"].concat();
            let found = frames(&bytes).await;
            assert_eq!(found.last(), Some(&Ok("{}".to_owned())), "{garbage:?}: {found:?}");
            assert!(found.len() <= 2, "{garbage:?}: {found:?}");
        }
    }

    #[tokio::test]
    async fn absurd_lengths_take_no_memory() {
        let bytes = b"Content-Length: 99999999999\r\n\r\nContent-Length: 2\r\n\r\n{}";
        let found = frames(bytes).await;
        assert!(matches!(&found[..], [Err(_), Ok(_)]), "{found:?}");
    }

    #[test]
    fn halves_of_surrogate_pairs_are_replaced_and_nothing_else_is() {
        let cases = [
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\uDE00x\uD83D"}"#, r#"{"a":"\ufffdx\ufffd"}"#),
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (r#"{"a":"\ud83d\ud83d\ude00\ude00"}"#, r#"{"a":"\ufffd\ud83d\ude00\ufffd"}"#),
            (r#"{"a":"\ud83d","b":"\ude00"}"#, r#"{"a":"\ufffd","b":"\ufffd"}"#),
            // Escaped backslashes: what follows is text.
            (r#"{"a":"\\ud83d"}"#, r#"{"a":"\\ud83d"}"#),
            (r#"{"a":"\\\ud83d"}"#, r#"{"a":"\\\ufffd"}"#),
            (r#"{"a":"\"\ud83d\\\ude00"}"#, r#"{"a":"\"\ufffd\\\ufffd"}"#),
            (r#"{"a":"\ud83d\\ude00"}"#, r#"{"a":"\ufffd\\ude00"}"#),
            (r#"{"a":"\u00e9\n\ud83d\u0041"}"#, r#"{"a":"\u00e9\n\ufffd\u0041"}"#),
            // What is no escape is the parser's to refuse.
            (r#"{"a":"\ud8"}"#, r#"{"a":"\ud8"}"#),
            (r#"{"a":"\ud+3d \u"#, r#"{"a":"\ud+3d \u"#),
            (r"\", r"\"),
            (r"\u", r"\u"),
            (r#"\ud83d"#, r#"\ufffd"#),
        ];
        for (given, wanted) in cases {
            let mut body = given.as_bytes().to_vec();
            replace_halves(&mut body);
            assert_eq!(String::from_utf8_lossy(&body), wanted, "{given}");
        }
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        assert_eq!(as_text("é".as_bytes()), None);
        let text = as_text(b"a\xed\xa0\xbdb\xed\xb8\x80\xed\x9f\xbfc\xff\xed\xa0").unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "a\u{fffd}b\u{fffd}\u{d7ff}c\u{fffd}\u{fffd}\u{fffd}");
    }

    #[tokio::test]
    async fn who_finds_no_room_is_told_and_goes_on_and_room_comes_back() {
        let long = |byte: u8| {
            let body = vec![byte; 3 << 20];
            [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
        };
        let both = [long(b'a'), long(b'b'), b"Content-Length: 2\r\n\r\n{}".to_vec()].concat();
        let room = Room::new(4, Duration::ZERO);
        let mut first = FrameReader::within(both.as_slice(), room.clone());
        assert!(matches!(first.next().await.unwrap(), Some(Frame::Body(body)) if body.len() == 3 << 20));
        let mut second = FrameReader::within(both.as_slice(), room.clone());
        for _ in 0..2 {
            // The first one's message is still in use.
            let refused = second.next().await.unwrap();
            assert!(matches!(&refused, Some(Frame::Garbage(why)) if why.contains("room")), "{refused:?}");
        }
        assert_eq!(second.next().await.unwrap(), Some(Frame::Body(b"{}".to_vec())), "the session goes on");
        assert!(matches!(first.next().await.unwrap(), Some(Frame::Body(body)) if body[0] == b'b'));
        drop(first);
        assert_eq!(room.pieces.available_permits(), 4);
    }

    #[tokio::test]
    async fn a_message_that_breaks_off_is_the_end() {
        assert_eq!(frames(b"Content-Length: 20\r\n\r\n{}").await, []);
    }
}
