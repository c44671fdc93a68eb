//! The files of a history: a first pass that finds the lines of each drawing, and the way back to them.
//!
//! Owns what is wrong with a line, and where. It keeps only the places of the events, so that the memory for a
//! history is that of its largest drawing and some 40 bytes a line.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    clock::{Bound, Clocks, NOBODY, Place},
    format::ClientLine,
};

/// A sentence on why a history cannot be judged, and where that is.
#[derive(Debug)]
pub struct BadInput {
    path: PathBuf,
    /// Line and column, from 1; of a file that cannot be read there is none.
    at: Option<(u32, usize)>,
    message: String,
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.at {
            Some((line, column)) => write!(f, "{path}, line {line}, column {column}: {}", self.message),
            None => write!(f, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for BadInput {}

/// The kinds of lines that belong to a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    Invoke,
    Ok,
    Fail,
    Info,
    Live,
    Picture,
    Log,
    Entry,
}

/// The place of a line in the files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineAt {
    pub kind: LineKind,
    pub place: Place,
    offset: u64,
    length: u32,
}

/// A client of the history.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// The user whose token it has.
    pub user: String,
    last_t: i64,
    events: u32,
}

/// A history whose lines have been found.
#[derive(Debug)]
pub struct Input {
    files: Vec<(PathBuf, File)>,
    /// All clients, by number.
    pub clients: Vec<Client>,
    /// Their clocks.
    pub clocks: Clocks,
    /// The lines of all files.
    pub events: u64,
    drawings: Vec<(String, Vec<LineAt>)>,
}

/// The fields of a line that the first pass reads.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow)]
    event: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    client: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    drawing: Option<std::borrow::Cow<'a, str>>,
    t: Option<i64>,
}

impl Input {
    /// Finds the lines of all files.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is not as documented.
    pub fn open(paths: &[PathBuf]) -> Result<Self, BadInput> {
        let mut index = Index::default();
        let mut files = Vec::with_capacity(paths.len());
        for (number, path) in (0..).zip(paths) {
            let unreadable =
                |error: std::io::Error| BadInput { path: path.clone(), at: None, message: error.to_string() };
            index.read(number, path, &File::open(path).map_err(unreadable)?)?;
            files.push((path.clone(), File::open(path).map_err(unreadable)?));
        }
        Ok(Self {
            files,
            clients: index.clients,
            clocks: Clocks(index.bounds),
            events: index.events,
            drawings: index.drawings,
        })
    }

    /// The names of all drawings.
    pub fn drawings(&self) -> impl Iterator<Item = &str> {
        self.drawings.iter().map(|(name, _)| name.as_str())
    }

    /// The path of a file.
    #[must_use]
    pub fn path(&self, file: u32) -> &Path {
        &self.files[file as usize].0
    }

    /// The lines of the drawing of this number, in the order of files and lines.
    pub(crate) fn lines(&self, drawing: usize) -> &[LineAt] {
        &self.drawings[drawing].1
    }

    /// Reads a line anew, as `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self, at: &LineAt, buffer: &mut Vec<u8>) -> Result<T, BadInput> {
        buffer.resize(at.length as usize, 0);
        let (path, file) = &self.files[at.place.file as usize];
        file.read_exact_at(buffer, at.offset).map_err(|error| BadInput {
            path: path.clone(),
            at: None,
            message: error.to_string(),
        })?;
        serde_json::from_slice(buffer).map_err(|error| of_json(path, at.place.line, &error))
    }

    /// An objection to a whole line.
    pub(crate) fn object(&self, place: Place, message: impl Into<String>) -> BadInput {
        BadInput {
            path: self.path(place.file).to_owned(),
            at: Some((place.line, 1)),
            message: message.into(),
        }
    }
}

fn of_json(path: &Path, line: u32, error: &serde_json::Error) -> BadInput {
    let message = error.to_string();
    // serde_json counts the lines of what it was given, which is one.
    let message =
        message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned();
    BadInput { path: path.to_owned(), at: Some((line, error.column().max(1))), message }
}

/// The result of the first pass.
#[derive(Default)]
struct Index {
    clients: Vec<Client>,
    bounds: Vec<Option<Bound>>,
    client_numbers: HashMap<String, u32>,
    drawings: Vec<(String, Vec<LineAt>)>,
    drawing_numbers: HashMap<String, usize>,
    events: u64,
}

impl Index {
    fn read(&mut self, number: u32, path: &Path, file: &File) -> Result<(), BadInput> {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut text, mut offset, mut line) = (Vec::new(), 0, 0);
        loop {
            text.clear();
            let read = reader.read_until(b'\n', &mut text);
            let length = read.map_err(|error| BadInput {
                path: path.to_owned(),
                at: None,
                message: error.to_string(),
            })?;
            if length == 0 {
                return Ok(());
            }
            line += 1;
            let object = |column, message: &str| BadInput {
                path: path.to_owned(),
                at: Some((line, column)),
                message: message.to_owned(),
            };
            if text.last() != Some(&b'\n') {
                return Err(object(text.len(), "the line is cut off: it does not end with a line feed"));
            }
            let length = u32::try_from(length).map_err(|_| object(1, "the line is longer than 4 GiB"))?;
            let probe: Probe<'_> = serde_json::from_slice(&text[..text.len() - 1])
                .map_err(|error| of_json(path, line, &error))?;
            self.take(&probe, &text, (number, line, offset, length)).map_err(|error| match error {
                Objection::Line(message) => object(1, &message),
                Objection::Json(error) => of_json(path, line, &error),
            })?;
            offset += u64::from(length);
        }
    }

    fn take(
        &mut self,
        probe: &Probe<'_>,
        text: &[u8],
        (file, line, offset, length): (u32, u32, u64, u32),
    ) -> Result<(), Objection> {
        self.events += 1;
        let kind = match probe.event.as_ref() {
            "client" => return self.introduce(serde_json::from_slice(text).map_err(Objection::Json)?),
            "invoke" => LineKind::Invoke,
            "ok" => LineKind::Ok,
            "fail" => LineKind::Fail,
            "info" => LineKind::Info,
            "live" => LineKind::Live,
            "picture" => LineKind::Picture,
            "log" => LineKind::Log,
            "entry" => LineKind::Entry,
            other => return Err(Objection::Line(format!("there is no event `{other}`"))),
        };
        let (client, nth, t) = match &probe.client {
            Some(name) => self.event_of(name, probe.t)?,
            None => (NOBODY, 0, 0),
        };
        let drawing = probe.drawing.as_deref().ok_or("the line names no drawing")?;
        let drawing = match self.drawing_numbers.get(drawing) {
            Some(&number) => number,
            None => {
                self.drawings.push((drawing.to_owned(), Vec::new()));
                self.drawing_numbers.insert(drawing.to_owned(), self.drawings.len() - 1);
                self.drawings.len() - 1
            }
        };
        let place = Place { client, nth, file, line, t };
        self.drawings[drawing].1.push(LineAt { kind, place, offset, length });
        Ok(())
    }

    fn introduce(&mut self, line: ClientLine) -> Result<(), Objection> {
        if self.client_numbers.contains_key(&line.client) {
            return Err(format!("the client `{}` has a line `client` already", line.client).into());
        }
        let bound = match (line.offset, line.error) {
            (Some(offset), Some(error)) if error >= 0 => Some(Bound { offset, error }),
            (None, None) => None,
            _ => return Err("`offset` and `error` come together, and `error` is not negative".into()),
        };
        let number = u32::try_from(self.clients.len()).map_err(|_| "there are too many clients")?;
        self.client_numbers.insert(line.client.clone(), number);
        self.clients.push(Client { name: line.client, user: line.user, last_t: i64::MIN, events: 0 });
        self.bounds.push(bound);
        Ok(())
    }

    /// Counts an event of a client.
    fn event_of(&mut self, name: &str, t: Option<i64>) -> Result<(u32, u32, i64), Objection> {
        let number =
            *self.client_numbers.get(name).ok_or_else(|| format!("no line `client` introduces `{name}`"))?;
        let t = t.ok_or("the line has no `t`")?;
        let client = &mut self.clients[number as usize];
        if t < client.last_t {
            return Err(format!("the clock of `{name}` goes back, from {} to {t}", client.last_t).into());
        }
        client.last_t = t;
        client.events += 1;
        Ok((number, client.events, t))
    }
}

enum Objection {
    Line(String),
    Json(serde_json::Error),
}

impl From<String> for Objection {
    fn from(message: String) -> Self {
        Self::Line(message)
    }
}

impl From<&str> for Objection {
    fn from(message: &str) -> Self {
        Self::Line(message.to_owned())
    }
}
