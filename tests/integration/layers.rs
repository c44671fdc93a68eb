//! The layers of `src`: who may import whom, and no circles between folders.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

/// The modules of the crate from the lowest to the highest; each imports only from those before it.
const LAYERS: &[&str] = &[
    "limits",
    "clock",
    "model",
    "error",
    "telemetry",
    "trace",
    "audit",
    "transport",
    "offload",
    "store",
    "bus",
    "commit",
    "wire",
    "room",
    "identity",
    "access",
    "user_connections",
    "snapshot",
    "undo",
    "import",
    "verify",
    "http",
    "api",
    "socket",
    "worker",
    "config",
    "reference",
    "server",
];

/// A path of the crate, from its root: `["store", "Store"]`.
type CratePath = Vec<String>;

/// One file of `src`.
#[derive(Default)]
struct Source {
    /// The names of the crate that it uses, re-exports aside.
    names: BTreeSet<CratePath>,
    /// Its re-exports, by name.
    exports: HashMap<String, CratePath>,
}

/// The files of `src` by their module paths.
struct Sources(BTreeMap<CratePath, Source>);

/// Collects what a file names.
struct Collector<'a> {
    /// The module that is being read.
    module: CratePath,
    source: &'a mut Source,
}

impl Collector<'_> {
    /// A path as it stands in the module, from the root of the crate; `None` when it leads elsewhere.
    fn absolute(&self, path: &[String]) -> Option<CratePath> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().checked_sub(1)?].to_vec(),
            _ => return None,
        };
        let mut rest = rest;
        while let Some((first, after)) = rest.split_first()
            && first == "super"
        {
            base.pop()?;
            rest = after;
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    fn read_use(&mut self, tree: &UseTree, before: &mut Vec<String>, exports: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.read_use(&path.tree, before, exports);
                before.pop();
            }
            UseTree::Name(name) => self.note(before, &name.ident.to_string(), None, exports),
            UseTree::Rename(name) => {
                self.note(before, &name.ident.to_string(), Some(name.rename.to_string()), exports);
            }
            UseTree::Glob(_) => self.note(before, "self", None, exports),
            UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.read_use(item, before, exports));
            }
        }
    }

    fn note(&mut self, before: &[String], name: &str, alias: Option<String>, exports: bool) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        // `pub use inner::Name` leads to a module below.
        let named = if exports && !matches!(path[0].as_str(), "crate" | "self" | "super") {
            Some([self.module.clone(), path].concat())
        } else {
            self.absolute(&path)
        };
        let Some(path) = named else { return };
        if exports {
            let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
            self.source.exports.insert(name, path);
        } else {
            self.source.names.insert(path);
        }
    }
}

impl<'a> Visit<'a> for Collector<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        match item {
            // Tests may look wherever they like.
            Item::Mod(module) if module.attrs.iter().any(is_for_tests) => (),
            Item::Mod(module) if module.content.is_some() => {
                self.module.push(module.ident.to_string());
                visit::visit_item_mod(self, module);
                self.module.pop();
            }
            Item::Use(item) => {
                let exports = !matches!(item.vis, Visibility::Inherited);
                self.read_use(&item.tree, &mut Vec::new(), exports);
            }
            other => visit::visit_item(self, other),
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.source.names.extend(self.absolute(&segments));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'a Macro) {
        self.visit_path(&item.path);
    }
}

/// True if it is `#[cfg(test)]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|flag| flag == "test")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

impl Sources {
    /// Reads what lies below `root`, tests aside.
    fn read(root: &Path) -> Self {
        let mut sources = BTreeMap::new();
        for file in files(root).into_iter().filter(|file| file.extension().is_some_and(|end| end == "rs")) {
            let inner = file.strip_prefix(root).unwrap().with_extension("");
            let mut module: CratePath = inner.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if module.iter().any(|part| part == "tests") || module == ["main"] {
                continue;
            }
            if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
                module.pop();
            }
            let parsed = syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap();
            let source: &mut Source = sources.entry(module.clone()).or_default();
            Collector { module, source }.visit_file(&parsed);
        }
        Self(sources)
    }

    /// The file in which what is named stands, behind all re-exports.
    fn find(&self, path: &[String]) -> CratePath {
        let module = (0..=path.len()).rev().map(|end| &path[..end]).find(|start| self.0.contains_key(*start));
        let module = module.unwrap_or_default();
        let rest = &path[module.len()..];
        match rest.first().and_then(|name| self.0[module].exports.get(name)) {
            Some(exported) if exported != path => self.find(&[exported, &rest[1..]].concat()),
            _ => module.to_vec(),
        }
    }

    /// The files that a file names, without itself.
    fn named_by(&self, module: &CratePath) -> BTreeSet<CratePath> {
        let named = self.0[module].names.iter().map(|path| self.find(path));
        named.filter(|other| other != module && !other.is_empty()).collect()
    }

    /// The folder of a file; `x.rs` beside `x/` is of that folder.
    fn folder(&self, module: &CratePath) -> CratePath {
        let has_folder = self.0.keys().any(|other| other.len() > module.len() && other.starts_with(module));
        if has_folder { module.clone() } else { module[..module.len() - 1].to_vec() }
    }

    /// All files to which each file leads.
    fn reached(&self) -> BTreeMap<&CratePath, BTreeSet<CratePath>> {
        let named: BTreeMap<_, _> = self.0.keys().map(|module| (module, self.named_by(module))).collect();
        let reach = |module: &CratePath| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
            while let Some(module) = next.pop() {
                for other in &named[module] {
                    if reached.insert(other.clone()) {
                        next.push(other);
                    }
                }
            }
            reached
        };
        named.keys().map(|module| (*module, reach(module))).collect()
    }

    /// Imports from a layer above, and of modules that no layer has.
    fn arrows_up(&self) -> Vec<String> {
        let layer = |module: &CratePath| LAYERS.iter().position(|layer| *layer == module[0]);
        let mut arrows = Vec::new();
        for module in self.0.keys().filter(|module| !module.is_empty()) {
            let Some(own) = layer(module) else {
                arrows.push(format!("{} has no place among the layers", module.join("::")));
                continue;
            };
            for named in self.named_by(module) {
                if layer(&named).is_some_and(|other| other > own) {
                    arrows.push(format!("{} imports {}", module.join("::"), named.join("::")));
                }
            }
        }
        arrows
    }

    /// Pairs of files in different folders of which each leads to the other.
    fn circles(&self) -> Vec<String> {
        let reached = self.reached();
        let mut circles = Vec::new();
        for (module, others) in reached.iter().filter(|(module, _)| !module.is_empty()) {
            for other in others.range((*module).clone()..) {
                if reached[other].contains(*module) && self.folder(module) != self.folder(other) {
                    circles.push(format!("{} and {}", module.join("::"), other.join("::")));
                }
            }
        }
        circles
    }
}

#[test]
fn a_module_imports_only_from_those_below_it() {
    let arrows = Sources::read(Path::new("src")).arrows_up();
    assert!(arrows.is_empty(), "imports that lead up:\n{}", arrows.join("\n"));
}

#[test]
fn files_of_different_folders_form_no_circle() {
    let circles = Sources::read(Path::new("src")).circles();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn the_files_of_the_socket_form_no_circle() {
    let sources = Sources::read(Path::new("src"));
    let of_socket = |module: &CratePath| module.first().is_some_and(|first| first == "socket");
    let reached = sources.reached();
    let circles: Vec<_> =
        reached.iter().filter(|(module, others)| of_socket(module) && others.contains(**module)).collect();
    assert!(circles.is_empty(), "each of these leads back to itself: {circles:?}");
}

#[test]
fn an_arrow_up_and_a_circle_are_found_behind_re_exports() {
    let folder = loadtest::services::TempFolder::new("layers").unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("model.rs", "use crate::store::Row;");
    write("store/mod.rs", "mod rows; pub use rows::Row;");
    write("store/rows.rs", "pub struct Row; fn read() -> crate::bus::queue::Queue { todo() }");
    write("bus/mod.rs", "pub mod queue;");
    write("bus/queue.rs", "use crate::{limits, store::Row};");
    write("limits.rs", "#[cfg(test)] mod tests { use crate::server::Server; }");
    let sources = Sources::read(folder.path());
    assert_eq!(sources.arrows_up(), ["model imports store::rows", "store::rows imports bus::queue"]);
    assert_eq!(sources.circles(), ["bus::queue and store::rows"]);
}
