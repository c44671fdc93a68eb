//! The strings that are colours.
//!
//! A colour goes into the picture as it came, so the grammar is narrow: nothing that it takes can be
//! a reference, a function that loads something, or the end of an attribute.

/// Longest colour, in bytes.
const MAX_COLOUR_BYTES: usize = 64;
/// Longest name of a colour, in letters. CSS has none over 20.
const MAX_NAME_LETTERS: usize = 24;

/// The colour without the white space around it; none where it is no colour.
pub(super) fn parse(text: &str) -> Option<&str> {
    let text = text.trim_ascii();
    let is_colour = text.len() <= MAX_COLOUR_BYTES && (is_hex(text) || is_name(text) || is_function(text));
    is_colour.then_some(text)
}

/// Returns `true` if a colour is a name for none.
pub(super) fn is_unseen(colour: &str) -> bool {
    ["none", "transparent"].iter().any(|unseen| unseen.eq_ignore_ascii_case(colour))
}

/// `#rgb`, `#rgba`, `#rrggbb` or `#rrggbbaa`.
fn is_hex(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| {
        matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// `red`, `none` and the like. A name that means nothing is one that a viewer ignores.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_LETTERS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// `rgb(1, 2, 3)`, `hsla(1 2% 3% / 50%)` and the like: three or four plain numbers or percentages.
fn is_function(text: &str) -> bool {
    let Some((name, rest)) = text.split_once('(') else { return false };
    let Some(list) = rest.strip_suffix(')') else { return false };
    let is_known = ["rgb", "rgba", "hsl", "hsla"].iter().any(|known| known.eq_ignore_ascii_case(name));
    let separators = |c: char| matches!(c, ',' | '/' | ' ');
    let parts: Vec<&str> = list.split(separators).filter(|part| !part.is_empty()).collect();
    is_known && matches!(parts.len(), 3 | 4) && parts.into_iter().all(is_plain_number)
}

/// Digits with a sign before and a fraction or a percent sign behind, if any.
fn is_plain_number(part: &str) -> bool {
    let part = part.strip_suffix('%').unwrap_or(part);
    let part = part.strip_prefix(['-', '+']).unwrap_or(part);
    let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
    let is_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_hex_names_and_functions_of_plain_numbers() {
        let colours = [
            "#fff",
            "#FFF8",
            "#a1b2c3",
            "#a1b2c3d4",
            "red",
            "lightGoldenrodYellow",
            "none",
            "rgb(1,2,3)",
            "RGB( 1 , 2 , 3 )",
            "rgba(1, 2, 3, .5)",
            "rgb(1 2 3 / 50%)",
            "hsl(-120, 50%, 50.5%)",
            "hsla(120,50%,50%,0.3)",
        ];
        for text in colours {
            assert_eq!(parse(text), Some(text));
        }
        assert_eq!(parse(" red\n"), Some("red"));
    }

    #[test]
    fn whatever_could_be_more_than_a_colour_is_none() {
        let others = [
            "",
            "#",
            "#ff",
            "#fffff",
            "#ggg",
            "#fff;x",
            "url(#a)",
            "url(javascript:alert(1))",
            "red url(#a)",
            "red\"",
            "color-mix(in srgb, red, blue)",
            "var(--a)",
            "rgb()",
            "rgb(1,2)",
            "rgb(1,2,3,4,5)",
            "rgb(1,2,3",
            "rgb(1,2,calc(3))",
            "rgb(1e3,2,3)",
            "rgb(1,2,.)",
            "rgb(1,2,3)<",
            "expression(1,2,3)",
            "äöü",
        ];
        for text in others {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"a".repeat(MAX_NAME_LETTERS + 1)), None);
        assert_eq!(parse(&format!("rgb({},2,3)", "1".repeat(MAX_COLOUR_BYTES))), None);
    }
}
