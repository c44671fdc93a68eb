//! The room that a line of text may take.
//!
//! Fonts are the viewer's: there is no telling how broad a text is, only how broad it is at most. Owns that
//! bound, made of the broadest form of each character in many fonts, and of the room that letters may take
//! beyond their line. Characters that one font joins and another does not, such as the parts of a family or of
//! a flag, are counted apart.

use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{EmojiStatus, GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// Advances of characters, made by `scripts/advances.py`: rows of a code point and 64 letters.
const ADVANCES: &str = include_str!("advances.txt");
/// Bytes of a row: four digits, a space, 64 letters, and the end of the line.
const ROW_BYTES: usize = 70;
/// Where the letters of a row begin.
const ROW_START: usize = 5;
/// Code points of a row.
const ROW_CODES: u32 = 64;

/// The advances below are in font sizes.
/// Ideographs and syllables of East Asia, and the box that stands for a character without a glyph.
const FULL_WIDTH: f64 = 1.0;
const EMOJI: f64 = 1.4;
/// A letter of a flag, which are letters where there is no flag.
const FLAG_LETTER: f64 = 1.25;
/// Characters of rare scripts beyond the table, if their block has no other.
const RARE: f64 = 2.0;
/// The breadth of a character that the table has no letter for: ligatures of whole sentences.
const SENTENCE: f64 = 11.0;
/// The circle that is drawn under a mark that has no letter to stand on.
const DOTTED_CIRCLE: f64 = 0.9;

/// The distance by which letters stick out at the ends of a line, in font sizes: plain ones, marks, and a mark
/// in front of all.
const SIDE: f64 = 0.2;
const SIDE_OF_MARKS: f64 = 0.5;
const SIDE_OF_A_LONE_MARK: f64 = 1.0;
/// The distance by which accents, and scripts with tall or deep letters, may reach above and below their line,
/// in font sizes.
const ACCENTED: f64 = 0.2;
const TALL: f64 = 0.55;
/// The height of each further mark of a stack, in font sizes.
const STACKED: f64 = 0.3;
/// Marks of one letter of a script of South or South-East Asia that stand beside each other and not alone.
const MARKS_OF_A_SYLLABLE: usize = 3;

/// The most that a line of text takes, in font sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TextRoom {
    /// The distance from where it starts to where the next text would.
    pub(super) advance: f64,
    /// As `advance`, in a font of middling breadth.
    pub(super) usual: f64,
    /// The distance by which it may stick out of that on either side.
    pub(super) side: f64,
    /// The distance by which it may reach beyond the line's height above.
    pub(super) above: f64,
    /// The distance by which it may reach beyond the line's height below.
    pub(super) below: f64,
}

/// The part of a line that has been read.
#[derive(Debug, Default)]
struct Reader {
    room: TextRoom,
    /// The character before.
    before: Option<char>,
    /// Marks of the letter in progress.
    marks: usize,
    /// The marks of that letter stacked above, and those below.
    stacks: [usize; 2],
}

impl TextRoom {
    /// The room of `line`, which has no line breaks.
    pub(super) fn of(line: &str) -> Self {
        let mut reader = Reader { room: Self { side: SIDE, ..Self::default() }, ..Reader::default() };
        for c in line.chars() {
            if is_mark(c) {
                reader.mark(c)
            } else {
                reader.letter(c)
            }
            reader.before = Some(c);
        }
        reader.room
    }
}

impl Reader {
    fn letter(&mut self, c: char) {
        let is_composed = is_jamo_pair(self.before, c) || is_tone_of(self.before, c);
        if !is_composed {
            self.room.advance += advance(c);
            self.room.usual += advance(c) * usual_share(c);
        }
        if c != '\u{200d}' && c != '\u{200c}' {
            (self.marks, self.stacks) = (0, [0, 0]);
        }
        self.reach(c, 0);
    }

    fn mark(&mut self, c: char) {
        let is_alone = self.before.is_none_or(|before| !is_mark(before) && !stands_under_marks(before));
        let is_enclosing = c.general_category() == GeneralCategory::EnclosingMark;
        let class = canonical_combining_class(c);
        // Classes up to 199 and 0 do not tell a side. Spacing marks do not stack.
        let sides = match (class, is_enclosing || c.general_category() == GeneralCategory::SpacingMark) {
            (_, true) => [0, 0],
            (200..=222 | 233, _) => [0, 1],
            (223.., _) => [1, 0],
            _ => [1, 1],
        };
        self.marks += 1;
        self.stacks = [self.stacks[0] + sides[0], self.stacks[1] + sides[1]];

        self.room.advance += advance(c);
        if self.before == Some('\u{20e3}') || c == '\u{20e3}' || c == '\u{fe0f}' {
            // A character that becomes an emoji is as broad as one, whatever it was before.
            self.room.advance += EMOJI - self.before.map_or(0.0, advance).min(EMOJI);
        }
        // A syllable whose marks cannot be is drawn in several.
        let is_broken = class == 0 && (self.before == Some(c) || self.marks > MARKS_OF_A_SYLLABLE);
        if (is_alone || is_broken) && !is_selector(c) {
            self.room.advance += DOTTED_CIRCLE;
        }
        let side = if self.before.is_none() { SIDE_OF_A_LONE_MARK } else { SIDE_OF_MARKS };
        self.room.side = self.room.side.max(side);
        self.reach(c, 1);
    }

    /// Makes room above and below for `c`, and for what is stacked on its letter.
    fn reach(&mut self, c: char, marks: usize) {
        let reach = match c {
            c if is_selector(c) => 0.0,
            c if is_plain(c) => 0.0,
            '\u{a0}'..'\u{530}' | '\u{1e00}'..'\u{2e00}' => ACCENTED,
            _ => TALL,
        };
        let stacked =
            |marks: usize| STACKED * super::props::real(marks.saturating_sub(usize::from(reach >= TALL)));
        let [above, below] = if marks == 0 { [0.0, 0.0] } else { self.stacks.map(stacked) };
        self.room.above = self.room.above.max(reach + above);
        self.room.below = self.room.below.max(reach + below);
    }
}

/// The most that a character moves those after it, in font sizes.
fn advance(c: char) -> f64 {
    if let Some(advance) = tabled(c) {
        let is_emoji = c >= '\u{2000}' && c.is_emoji_char();
        return if is_emoji { advance.max(EMOJI) } else { advance };
    }
    match c {
        '\u{1f1e6}'..='\u{1f1ff}' => FLAG_LETTER,
        '\u{1f000}'..='\u{1fbff}' => EMOJI,
        // Tags of flags and selectors of variants.
        '\u{e0000}'..='\u{e0fff}' => 0.0,
        '\u{11300}'..='\u{1137f}' => 2.8,
        '\u{12000}'..='\u{1254f}' => 4.7,
        '\u{1d000}'..='\u{1d1ff}' | '\u{1ec70}'..='\u{1ecbf}' => 2.4,
        '\u{1d400}'..='\u{1d7ff}' => 1.15,
        '\u{10000}'..='\u{16fdf}' | '\u{1b170}'..='\u{1efff}' if is_nonspacing(c) => 0.0,
        '\u{10000}'..='\u{16fdf}' | '\u{1b170}'..='\u{1efff}' => RARE,
        _ => FULL_WIDTH,
    }
}

/// The share of its greatest breadth that a character takes in most fonts.
fn usual_share(c: char) -> f64 {
    match c {
        // Only a font of Japan has them as broad as its own letters.
        '\u{370}'..'\u{530}' => 0.62,
        '\u{2e80}'..'\u{a4c0}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{ff00}'..='\u{ffef}'
        | '\u{20000}'..'\u{40000}' => 1.0,
        _ => 0.85,
    }
}

/// The advance of a character that the table has.
fn tabled(c: char) -> Option<f64> {
    let code = u32::from(c);
    // The rows of three ranges follow each other.
    let row = match code {
        0..0x3000 => code / ROW_CODES,
        0xa4c0..0xac00 => (code - 0xa4c0) / ROW_CODES + 192,
        0xfb00..0x10000 => (code - 0xfb00) / ROW_CODES + 221,
        _ => return None,
    };
    let place =
        usize::try_from(row).ok()? * ROW_BYTES + ROW_START + usize::try_from(code % ROW_CODES).ok()?;
    let letter = *ADVANCES.as_bytes().get(place)?;
    let twentieths = match letter {
        b'0'..=b'9' => letter - b'0',
        b'A'..=b'Z' => letter - b'A' + 10,
        b'a'..=b'z' => letter - b'a' + 36,
        _ => return Some(SENTENCE),
    };
    Some(f64::from(twentieths) / 20.0)
}

/// Returns `true` if `c` belongs to the letter before it.
fn is_mark(c: char) -> bool {
    let category = c.general_category();
    matches!(
        category,
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark | GeneralCategory::EnclosingMark
    )
}

fn is_nonspacing(c: char) -> bool {
    c.general_category() == GeneralCategory::NonspacingMark
}

/// Returns `true` if `c` only says how the character before it is drawn.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns `true` if a mark after `c` stands on it, and not on a circle.
fn stands_under_marks(c: char) -> bool {
    c.is_alphanumeric() || c.is_emoji_char() || matches!(c, '\u{200c}' | '\u{200d}' | '\u{25cc}' | '\u{a0}')
}

/// Returns `true` if a letter neither rises above its line nor falls below it, marks apart.
fn is_plain(c: char) -> bool {
    matches!(c, '\0'..'\u{a0}' | '\u{2e80}'..'\u{a4c0}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..'\u{fb00}'
        | '\u{ff00}'..='\u{ffef}' | '\u{1f000}'..='\u{1fbff}' | '\u{20000}'..'\u{40000}')
}

/// Returns `true` if `c` is a part of the Korean syllable in progress, which every font has as a whole.
fn is_jamo_pair(before: Option<char>, c: char) -> bool {
    matches!(
        (before, c),
        (Some('\u{1100}'..='\u{1112}'), '\u{1161}'..='\u{1175}')
            | (Some('\u{1161}'..='\u{1175}'), '\u{11a8}'..='\u{11c2}')
    )
}

/// Returns `true` if `c` is the tone of the skin of the emoji before it.
fn is_tone_of(before: Option<char>, c: char) -> bool {
    use EmojiStatus::{EmojiModifierBase, EmojiPresentationAndModifierBase};
    let is_base =
        |before: char| matches!(before.emoji_status(), EmojiModifierBase | EmojiPresentationAndModifierBase);
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}') && before.is_some_and(is_base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_code_point_that_is_looked_up() {
        let rows: Vec<_> = ADVANCES.lines().collect();
        assert!(rows.iter().all(|row| row.len() + 1 == ROW_BYTES && row.is_ascii()));
        for (nth, row) in rows.iter().enumerate() {
            let code = u32::from_str_radix(&row[..4], 16).unwrap();
            let c = char::from_u32(code).unwrap();
            assert_eq!(tabled(c), tabled_by(row), "row {nth}");
        }
        let looked_up = (0..0x3000).chain(0xa4c0..0xac00).chain(0xfb00..0x1_0000);
        assert!(looked_up.filter_map(char::from_u32).all(|c| tabled(c).is_some()));
    }

    fn tabled_by(row: &str) -> Option<f64> {
        let digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let letter = row.chars().nth(ROW_START)?;
        Some(digits.find(letter).map_or(SENTENCE, |nth| super::super::props::real(nth) / 20.0))
    }

    #[test]
    fn a_letter_is_as_broad_as_in_the_broadest_font() {
        let is = |text: &str, from: f64, to: f64| {
            let advance = TextRoom::of(text).advance;
            assert!((from..=to).contains(&advance), "{text}: {advance}");
        };
        is("W", 1.0, 1.1);
        is("i", 0.3, 0.4);
        is("漢字かな한글", 6.0, 6.3);
        is("e\u{301}\u{323}", 0.6, 0.7);
        is("😀", 1.25, 1.4);
        is("👍🏽", 1.25, 1.4);
        is("1\u{fe0f}\u{20e3}", 1.25, 2.8);
        is("\u{1112}\u{1161}\u{11ab}", 1.0, 1.0);
        is("\u{200b}\u{200d}\u{2060}\u{feff}\u{fe0f}", 0.0, 1.4);
        is("\u{94d}\u{93f}", 0.9, 2.6);
    }

    #[test]
    fn text_is_rotated_about_the_middle_that_it_has_in_most_fonts() {
        // In Noto Sans, with a tenth to spare.
        for (text, width) in [("Hamburgefonts", 7.47), ("Широкая электрификация", 13.0), ("漢字漢字", 4.0)]
        {
            let usual = TextRoom::of(text).usual;
            assert!((usual / width - 1.0).abs() < 0.1, "{text}: {usual}");
        }
    }

    #[test]
    fn stacks_of_marks_have_room_on_the_side_where_they_are() {
        let plain = TextRoom::of("Hxg漢");
        assert_eq!((plain.above, plain.below), (0.0, 0.0));
        let above = TextRoom::of("a\u{301}\u{302}\u{303}\u{304}\u{305}");
        assert!(above.above > 1.4 && above.below <= ACCENTED, "{above:?}");
        let below = TextRoom::of("a\u{323}\u{324}\u{325}");
        assert!(below.below > 0.9 && below.above <= ACCENTED, "{below:?}");
    }
}
