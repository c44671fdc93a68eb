//! Texts that are shown to other people: titles and names.
//!
//! Owns what of them may be seen, and what may not turn the text around them. Joiners inside words and emoji stay.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The text without embeddings and overrides of direction, which would reach into what is shown beside it; and without
/// isolates, unless each of them ends in the text.
pub(super) fn without_turns(text: &str) -> Cow<'_, str> {
    let keeps_isolates = isolates_end(text);
    let is_kept = |c: char| match c {
        '\u{202a}'..='\u{202e}' => false,
        '\u{2066}'..='\u{2069}' => keeps_isolates,
        _ => true,
    };
    if text.chars().all(is_kept) { text.into() } else { text.chars().filter(|c| is_kept(*c)).collect() }
}

/// Returns `true` if every isolate that begins in `text` ends in it, and none ends that has not begun.
fn isolates_end(text: &str) -> bool {
    let open = text.chars().try_fold(0_usize, |open, c| match c {
        '\u{2066}'..='\u{2068}' => Some(open + 1),
        '\u{2069}' => open.checked_sub(1),
        _ => Some(open),
    });
    open == Some(0)
}

/// Returns `true` if anything in `text` is seen by itself. Spaces, marks, controls, and letters that stand for
/// nothing are not.
pub(super) fn is_seen(text: &str) -> bool {
    text.chars().any(|c| {
        use GeneralCategory as Category;
        // Fillers of Korean, the cell of Braille without a dot, and places kept for more of what is not seen.
        let is_blank = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{2065}'
            | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}');
        let is_unseen = matches!(
            c.general_category(),
            Category::Control
                | Category::Format
                | Category::NonspacingMark
                | Category::SpacingMark
                | Category::EnclosingMark
                | Category::SpaceSeparator
                | Category::LineSeparator
                | Category::ParagraphSeparator
        );
        !is_blank && !is_unseen
    })
}

/// The name as others see it; none if there is nothing to see.
#[must_use]
pub fn shown_name(name: &str) -> Option<Cow<'_, str>> {
    Some(without_turns(name)).filter(|name| is_seen(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_anything_to_see_is_told() {
        for unseen in [
            "",
            " ",
            "\u{200b}",
            "\u{2060}\u{feff}\u{ad}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{2800}\u{3000}\u{a0}",
            "\u{fe0f}",
            "\u{301}\u{302}",
            "\u{200d}\u{200c}\u{180e}",
            "\u{e0067}\u{e007f}",
            "\u{2067}\u{2069}",
            "\u{2065}\u{e0080}",
        ] {
            assert!(!is_seen(unseen), "{unseen:?}");
            assert_eq!(shown_name(unseen), None);
        }
        for seen in ["a", ".", "é", "漢", "नि", "⠁", "👩\u{200d}🚀", "1\u{fe0f}\u{20e3}", "\u{e000}"]
        {
            assert!(is_seen(seen), "{seen:?}");
        }
    }

    #[test]
    fn what_turns_a_text_around_is_taken_out_and_joiners_stay() {
        for (text, shown) in [
            ("ann\u{202e}gnp.exe", "anngnp.exe"),
            ("\u{202a}a\u{202b}b\u{202c}\u{202d}", "ab"),
            ("\u{2067}שלום\u{2069} b", "\u{2067}שלום\u{2069} b"),
            ("\u{2067}שלום", "שלום"),
            ("a\u{2069}b\u{2068}", "ab"),
            ("שלום\u{200f}!", "שלום\u{200f}!"),
            ("می\u{200c}خواهم ක්\u{200d}ෂ", "می\u{200c}خواهم ක්\u{200d}ෂ"),
            (
                "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} 1\u{fe0f}\u{20e3} 🇩🇪",
                "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} 1\u{fe0f}\u{20e3} 🇩🇪",
            ),
            ("🏴\u{e0067}\u{e0062}\u{e007f}", "🏴\u{e0067}\u{e0062}\u{e007f}"),
        ] {
            assert_eq!(without_turns(text), shown, "{text:?}");
        }
    }
}
