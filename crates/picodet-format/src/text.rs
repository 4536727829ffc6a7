//! Decodes text files: byte order marks, UTF-16, declared encodings, and legacy encodings without a declaration.

use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Number of bytes that are inspected for UTF-16 without a byte order mark, and for an XML declaration.
const INSPECTED: usize = 1024;
/// Size of the input buffer of a [`Utf8Reader`] that decodes, in bytes.
const BUFFER: usize = 1 << 16;

/// A decoded text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, without a byte order mark.
    pub text: String,
    /// Name of the encoding (WHATWG), as in `UTF-8` or `gb18030`.
    pub encoding: &'static str,
    /// Whether the encoding is a guess: the file is not UTF-8 and has neither a byte order mark nor a declaration.
    pub guessed: bool,
}

/// The content is not text in any encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a text file: byte {offset} is NUL; save it as UTF-8 text")]
#[non_exhaustive]
pub struct NotText {
    /// Position of the first NUL byte.
    pub offset: usize,
}

/// Decodes a text file.
///
/// In this order: a byte order mark (UTF-8, UTF-16), UTF-16 by its zero bytes, UTF-8, GB18030 (of which GBK and GB2312
/// are subsets) if every byte sequence is valid in it and the result is plausible, otherwise Windows-1252.
///
/// # Errors
/// [`NotText`] for binary content.
pub fn decode(bytes: Vec<u8>) -> Result<Text, NotText> {
    decode_declared(bytes, None)
}

/// Decodes an XML file; the encoding of its declaration takes precedence over a guess, but not over a byte order mark.
///
/// # Errors
/// [`NotText`] for binary content.
pub fn decode_xml(bytes: Vec<u8>) -> Result<Text, NotText> {
    let declared = xml_encoding(&bytes);
    decode_declared(bytes, declared)
}

fn decode_declared(bytes: Vec<u8>, declared: Option<&'static Encoding>) -> Result<Text, NotText> {
    if let Some(encoding) = wide_encoding(&bytes) {
        let (text, _) = encoding.decode_with_bom_removal(&bytes);
        return Ok(Text { text: text.into_owned(), encoding: encoding.name(), guessed: false });
    }
    if let Some(offset) = bytes.iter().position(|&byte| byte == 0) {
        return Err(NotText { offset });
    }
    // Programs declare ISO-8859-1 in files that they write as UTF-8. No text in such an encoding is valid UTF-8 by accident.
    let is_utf8 =
        |encoding: &'static Encoding| encoding.is_single_byte() && std::str::from_utf8(&bytes).is_ok();
    if let Some(encoding) = declared.filter(|&encoding| encoding != UTF_8 && !is_utf8(encoding))
        && let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(&bytes)
    {
        return Ok(Text { text: text.into_owned(), encoding: encoding.name(), guessed: false });
    }
    let bytes = match String::from_utf8(bytes) {
        Ok(text) if !text.is_ascii() && is_accidental_utf8(&text) => text.into_bytes(),
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            return Ok(Text { text, encoding: UTF_8.name(), guessed: false });
        }
        Err(error) => error.into_bytes(),
    };
    let chinese = GB18030.decode_without_bom_handling_and_without_replacement(&bytes);
    let (text, encoding) = match chinese.filter(|_| is_usual_chinese(&bytes)) {
        Some(text) => (text, GB18030),
        None => (WINDOWS_1252.decode_without_bom_handling(&bytes).0, WINDOWS_1252),
    };
    Ok(Text { text: text.into_owned(), encoding: encoding.name(), guessed: true })
}

/// Returns UTF-16 for a byte order mark, or for text of which every second byte is zero.
fn wide_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0xFF, 0xFE, ..] => return Some(UTF_16LE),
        [0xFE, 0xFF, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let start = &bytes[..bytes.len().min(INSPECTED) & !1];
    let zeros = |parity: usize| start.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let pairs = start.len() / 2;
    // The markup, digits and line ends of label files are ASCII.
    if even == 0 && odd > 0 && odd * 4 >= pairs {
        Some(UTF_16LE)
    } else if odd == 0 && even > 0 && even * 4 >= pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Returns the encoding of an XML declaration in ASCII-compatible bytes.
fn xml_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    if !bytes.starts_with(b"<?xml") {
        return None;
    }
    let end = bytes.iter().take(INSPECTED).position(|&byte| byte == b'>')?;
    let declaration = std::str::from_utf8(&bytes[..end]).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let label = value[1..].split(quote).next()?;
    // A declaration that can be read as ASCII is not in UTF-16, whatever it states.
    Encoding::for_label(label.as_bytes()).filter(|&encoding| encoding != UTF_16LE && encoding != UTF_16BE)
}

/// Whether text that is valid UTF-8 is GBK by accident: it has only two-byte sequences, most of them characters that no
/// language writes next to each other (`图片` in GBK is `ͼƬ` in UTF-8), and they are usual Chinese.
fn is_accidental_utf8(text: &str) -> bool {
    let (mut rare, mut total) = (0usize, 0usize);
    for character in text.chars().filter(|character| !character.is_ascii()) {
        total += 1;
        // Vietnamese and Romanian letters, and combining accents, are usual.
        rare += usize::from(match character {
            '\u{1a0}' | '\u{1a1}' | '\u{1af}' | '\u{1b0}' | '\u{218}'..='\u{21b}' | '\u{300}'..='\u{36f}' => {
                false
            }
            '\u{80}'..='\u{9f}' | '\u{180}'..='\u{385}' | '\u{3cf}'..='\u{3ff}' | '\u{460}'..='\u{48f}' => {
                true
            }
            '\u{500}'..='\u{530}' | '\u{700}'..='\u{7ff}' => true,
            '\u{800}'.. => return false,
            _ => false,
        });
    }
    rare * 2 > total && is_usual_chinese(text.as_bytes())
}

/// Whether most of the two-byte sequences are the punctuation and the common characters of GB2312 (rows 1 to 9 and 16 to
/// 55). Latin-1 text that happens to be valid GB18030 pairs an accented letter with an ASCII letter, or has lead bytes of
/// rare characters.
fn is_usual_chinese(bytes: &[u8]) -> bool {
    let (mut usual, mut pairs) = (0usize, 0usize);
    let mut rest = bytes;
    while let [lead, tail @ ..] = rest {
        rest = tail;
        if lead.is_ascii() {
            continue;
        }
        pairs += 1;
        let trail = tail.first().copied().unwrap_or(0);
        usual += usize::from(matches!(lead, 0xA1..=0xA9 | 0xB0..=0xD7) && trail >= 0xA1);
        rest = tail.get(1..).unwrap_or(&[]);
    }
    usual * 2 > pairs
}

/// Reads any text as UTF-8 without a byte order mark: removes the mark, and decodes UTF-16. All other bytes pass through
/// unchanged.
pub struct Utf8Reader<R> {
    inner: R,
    /// The first bytes, which are inspected for the encoding, and the number of them that were passed on.
    start: Vec<u8>,
    passed: usize,
    state: State,
}

enum State {
    /// At the beginning.
    New,
    /// UTF-8, or another encoding that is passed through.
    Direct,
    Decode(Box<Transcoder>),
}

/// A decoder with its buffers.
struct Transcoder {
    decoder: Decoder,
    input: Vec<u8>,
    output: String,
    passed: usize,
    ended: bool,
}

impl<R> std::fmt::Debug for Utf8Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Utf8Reader").finish_non_exhaustive()
    }
}

impl<R: Read> Utf8Reader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, start: Vec::new(), passed: 0, state: State::New }
    }

    /// Reads the first bytes and chooses the encoding.
    fn begin(&mut self) -> io::Result<()> {
        self.inner.by_ref().take(INSPECTED as u64).read_to_end(&mut self.start)?;
        self.state = match wide_encoding(&self.start) {
            Some(encoding) => State::Decode(Box::new(Transcoder {
                decoder: encoding.new_decoder_with_bom_removal(),
                input: std::mem::take(&mut self.start),
                output: String::new(),
                passed: 0,
                ended: false,
            })),
            None => {
                self.passed = if self.start.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
                State::Direct
            }
        };
        Ok(())
    }
}

impl Transcoder {
    /// Decodes the next block into `output`; `false` at the end.
    fn refill(&mut self, inner: &mut impl Read) -> io::Result<bool> {
        while !self.ended {
            if self.input.is_empty() {
                inner.by_ref().take(BUFFER as u64).read_to_end(&mut self.input)?;
            }
            let last = self.input.is_empty();
            self.output.clear();
            self.passed = 0;
            let needed = self.decoder.max_utf8_buffer_length(self.input.len()).unwrap_or(3 * BUFFER);
            self.output.reserve(needed);
            let (result, read, _) = self.decoder.decode_to_string(&self.input, &mut self.output, last);
            self.input.drain(..read);
            self.ended = last && result == CoderResult::InputEmpty;
            if !self.output.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if matches!(self.state, State::New) {
            self.begin()?;
        }
        match &mut self.state {
            State::New | State::Direct => {
                if self.passed < self.start.len() {
                    let count = (&self.start[self.passed..]).read(out)?;
                    self.passed += count;
                    return Ok(count);
                }
                self.inner.read(out)
            }
            State::Decode(transcoder) => {
                if transcoder.passed >= transcoder.output.len() && !transcoder.refill(&mut self.inner)? {
                    return Ok(0);
                }
                let count = (&transcoder.output.as_bytes()[transcoder.passed..]).read(out)?;
                transcoder.passed += count;
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "cat\r\n猫 and dog\nüber\n";

    fn utf16(text: &str, mark: bool, big: bool) -> Vec<u8> {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    fn decoded(bytes: Vec<u8>) -> (String, &'static str, bool) {
        let Text { text, encoding, guessed } = decode(bytes).unwrap();
        (text, encoding, guessed)
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let mut marked = b"\xEF\xBB\xBF".to_vec();
        marked.extend(SAMPLE.as_bytes());
        let cases = [
            (SAMPLE.as_bytes().to_vec(), "UTF-8", false),
            (marked, "UTF-8", false),
            (utf16(SAMPLE, true, false), "UTF-16LE", false),
            (utf16(SAMPLE, true, true), "UTF-16BE", false),
            (utf16(SAMPLE, false, false), "UTF-16LE", false),
            (utf16(SAMPLE, false, true), "UTF-16BE", false),
            (GB18030.encode(SAMPLE).0.into_owned(), "gb18030", true),
        ];
        for (bytes, encoding, guessed) in cases {
            let mut streamed = String::new();
            if !guessed {
                Utf8Reader::new(&bytes[..]).read_to_string(&mut streamed).unwrap();
                assert_eq!(streamed, SAMPLE, "{encoding}");
            }
            assert_eq!(decoded(bytes), (SAMPLE.to_owned(), encoding, guessed));
        }
    }

    #[test]
    fn latin_and_chinese_lists_are_told_apart() {
        for name in ["café", "Größe", "señal", "åäö", "naïve fiancée", "Müll\nTür\nStraße", "été"]
        {
            let bytes = WINDOWS_1252.encode(name).0.into_owned();
            assert_eq!(decoded(bytes), (name.to_owned(), "windows-1252", true));
        }
        // Text in UTF-8 of languages with two-byte letters.
        for name in ["café", "кошка", "γάτα", "mèo ơi ư", "pisică șț", "חתול", "قطة", "u\u{308}"]
        {
            assert_eq!(decoded(name.as_bytes().to_vec()), (name.to_owned(), "UTF-8", false));
        }
        for name in
            ["猫狗", "汽车\n行人\n自行车", "安全帽 helmet", "图片/训练/一.jpg", "图片", "（一）、《二》"]
        {
            let bytes = GB18030.encode(name).0.into_owned();
            assert_eq!(decoded(bytes), (name.to_owned(), "gb18030", true));
        }
    }

    #[test]
    fn an_xml_declaration_decides() {
        let body = |label: &str| format!("<?xml version=\"1.0\" encoding=\"{label}\"?>\n<a>猫 é</a>");
        for label in ["gb2312", "GBK", "gb18030"] {
            let bytes = GB18030.encode(&body(label)).0.into_owned();
            let text = decode_xml(bytes).unwrap();
            assert_eq!((text.text, text.guessed), (body(label), false));
        }
        let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><a>caf\u{e9}</a>";
        let bytes = WINDOWS_1252.encode(latin).0.into_owned();
        assert_eq!(decode_xml(bytes).unwrap().text, latin);
        for label in ["ISO-8859-1", "windows-1251", "latin1"] {
            let text = decode_xml(body(label).into_bytes()).unwrap();
            assert_eq!((text.text, text.encoding, text.guessed), (body(label), "UTF-8", false));
        }
        // .NET declares UTF-16 in files that it writes as UTF-8.
        let wrong = body("utf-16");
        assert_eq!(decode_xml(wrong.clone().into_bytes()).unwrap().text, wrong);
        let unknown = body("klingon");
        assert_eq!(decode_xml(unknown.clone().into_bytes()).unwrap().text, unknown);
    }

    #[test]
    fn binary_content_is_refused_and_long_utf16_is_streamed() {
        assert_eq!(decode(b"\x89PNG\r\n\x1a\n\0\0\0".to_vec()), Err(NotText { offset: 8 }));
        assert_eq!(decode(Vec::new()).unwrap().text, "");
        let long = "{\"name\": \"猫𠮷\"}\n".repeat(30_000);
        let bytes = utf16(&long, true, true);
        let mut streamed = String::new();
        Utf8Reader::new(&bytes[..]).read_to_string(&mut streamed).unwrap();
        assert!(streamed == long);
        // A cut in the middle of a surrogate pair ends with a replacement character.
        let mut cut = String::new();
        Utf8Reader::new(&bytes[..bytes.len() - 9]).read_to_string(&mut cut).unwrap();
        assert!(long.starts_with(cut.trim_end_matches('\u{fffd}')));
    }
}
