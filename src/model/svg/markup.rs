//! XML out of parts: elements, attributes, text and numbers.
//!
//! Owns the escaping: whatever passes through here is well-formed, and stays what it was. Names of
//! elements and attributes are ours; they are never a client's.

use std::fmt::Write;

/// One element, with what is in it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    name: &'static str,
    /// ` name="value"` for each attribute, escaped.
    attributes: String,
    /// Its text and children, escaped.
    content: String,
}

impl Element {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, attributes: String::new(), content: String::new() }
    }

    pub(super) fn attribute(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        push_escaped(&mut self.attributes, value);
        self.attributes.push('"');
        self
    }

    pub(super) fn number(self, name: &'static str, value: f64) -> Self {
        let mut text = String::new();
        push_number(&mut text, value);
        self.attribute(name, &text)
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        push_escaped(&mut self.content, text);
        self
    }

    pub(super) fn child(mut self, child: &Self) -> Self {
        child.write(&mut self.content);
        self
    }

    /// A child on a line of its own. Not for elements whose white space is seen.
    pub(super) fn line(mut self, child: &Self) -> Self {
        self.content.push('\n');
        child.write(&mut self.content);
        self
    }

    pub(super) fn write(&self, out: &mut String) {
        let Self { name, attributes, content } = self;
        out.push('<');
        out.push_str(name);
        out.push_str(attributes);
        if content.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(content);
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}

/// Writes a number with two decimals at most, without exponent and without a sign on zero.
pub(super) fn push_number(out: &mut String, number: f64) {
    // Adding zero takes the sign from -0.
    let rounded = (number * 100.0).round() / 100.0 + 0.0;
    let written = if rounded.is_finite() { rounded } else { 0.0 };
    write!(out, "{written}").expect("writing to a string cannot fail");
}

/// Writes a command of path data with its numbers.
pub(super) fn push_command<const N: usize>(out: &mut String, command: char, numbers: [f64; N]) {
    out.push(command);
    for (nth, number) in numbers.into_iter().enumerate() {
        if nth > 0 {
            out.push(' ');
        }
        push_number(out, number);
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_xml(c) => out.push(c),
            _ => {}
        }
    }
}

/// Returns `true` if XML 1.0 knows the character (production 2, `Char`); others cannot even be escaped.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_plain_and_finite() {
        let rows = [
            (0.0, "0"),
            (-0.0, "0"),
            (-0.004, "0"),
            (1.005_1, "1.01"),
            (-2.5, "-2.5"),
            (1e7, "10000000"),
            (1e-9, "0"),
            (0.1 + 0.2, "0.3"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (f64::MAX, "0"),
        ];
        for (number, expected) in rows {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, expected, "{number}");
        }
    }

    #[test]
    fn text_and_attributes_are_escaped_and_lose_what_xml_forbids() {
        let hostile = "<a b='\"'>&]]>\u{0}\u{1b}\u{ffff}\u{fffe}\tß😀";
        let mut xml = String::new();
        Element::new("g").attribute("data-a", hostile).text(hostile).write(&mut xml);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let root = document.root_element();
        assert_eq!(root.text(), Some("<a b='\"'>&]]>\tß😀"));
        // A reader takes a tab in an attribute for a space.
        assert_eq!(root.attribute("data-a"), Some("<a b='\"'>&]]> ß😀"));
        assert_eq!(root.children().filter(roxmltree::Node::is_element).count(), 0);
    }
}
