//! The modules of a crate, and the file that defines the item of a path.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, UseTree};

use super::sources::Source;

/// A path of a crate: its segments.
pub(super) type Path = Vec<String>;

/// The modules of a crate by their paths from the root.
#[derive(Default)]
pub(super) struct ModuleTree {
    modules: BTreeMap<Path, Module>,
}

/// A module.
#[derive(Default)]
pub(super) struct Module {
    /// The file that holds it.
    pub(super) file: String,
    /// Names of the items that it defines.
    items: BTreeSet<String>,
    /// Imported and re-exported names with their paths.
    imports: BTreeMap<String, Path>,
    /// Paths of the modules that it imports or re-exports whole.
    globs: Vec<Path>,
}

impl Module {
    /// Returns whether the module defines or imports a name.
    fn has(&self, name: &str) -> bool {
        self.items.contains(name) || self.imports.contains_key(name)
    }
}

/// A name in a `use` item: the path, the name in the importing module (`None` for a glob).
pub(super) struct Import {
    /// The imported path.
    pub(super) path: Path,
    /// The name under which it is imported.
    pub(super) name: Option<String>,
}

impl ModuleTree {
    /// Collects the modules of a crate whose root file is `lib.rs` or `main.rs`.
    pub(super) fn new(sources: &[&Source]) -> Self {
        let mut tree = Self::default();
        for source in sources {
            let Some(path) = source.module_file().map(module_path) else { continue };
            tree.add(path, &source.path, &source.syntax.items);
        }
        tree
    }

    fn add(&mut self, path: Path, file: &str, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_test(item)) {
            match item {
                Item::Use(item) => {
                    for import in imports(&item.tree) {
                        match import.name {
                            Some(name) => drop(module.imports.insert(name, import.path)),
                            None => module.globs.push(import.path),
                        }
                    }
                }
                Item::Mod(inline) => {
                    if let Some((_, items)) = &inline.content {
                        let path = [path.clone(), vec![inline.ident.to_string()]].concat();
                        self.add(path, file, items);
                    }
                }
                item => module.items.extend(item_name(item)),
            }
        }
        self.modules.insert(path, module);
    }

    /// Returns the file that defines the item of `path`, as seen from the module `from`; `None` for modules and for items of
    /// other crates.
    pub(super) fn file_of(&self, from: &[String], path: &[String]) -> Option<&str> {
        self.resolve(from, path, 0)
    }

    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<&str> {
        const MAX_DEPTH: usize = 20;
        if depth > MAX_DEPTH {
            return None;
        }
        let mut module: Path = from.to_vec();
        let mut rest = path;
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                "self" => {}
                _ => break,
            }
            rest = others;
        }
        while let [first, others @ ..] = rest {
            let child = [module.clone(), vec![first.clone()]].concat();
            // The last name may be that of a function next to a module of the same name.
            let is_item =
                others.is_empty() && self.modules.get(&module).is_some_and(|module| module.has(first));
            if !is_item && self.modules.contains_key(&child) {
                module = child;
            } else {
                let current = self.modules.get(&module)?;
                if let Some(import) = current.imports.get(first) {
                    let path = [import.clone(), others.to_vec()].concat();
                    return self.resolve(&module, &path, depth + 1);
                }
                if current.items.contains(first) {
                    return Some(&current.file);
                }
                let globs = current.globs.iter();
                let path = |glob: &Path| [glob.clone(), rest.to_vec()].concat();
                return globs.filter_map(|glob| self.resolve(&module, &path(glob), depth + 1)).next();
            }
            rest = others;
        }
        None
    }
}

/// Returns the path of the module in a file such as `a/mod.rs` or `a/b.rs`.
pub(super) fn module_path(file: &str) -> Path {
    let name = file.strip_suffix(".rs").unwrap_or(file);
    let mut path: Path = name.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod")
        || (path.len() == 1 && (path[0] == "lib" || path[0] == "main"))
    {
        path.pop();
    }
    path
}

/// Returns whether an item is compiled in tests only.
pub(super) fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Returns the names of a `use` item.
pub(super) fn imports(tree: &UseTree) -> Vec<Import> {
    fn collect(tree: &UseTree, prefix: &mut Path, found: &mut Vec<Import>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                collect(&path.tree, prefix, found);
                prefix.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, prefix, found)),
            UseTree::Glob(_) => found.push(Import { path: prefix.clone(), name: None }),
            UseTree::Name(name) if name.ident == "self" => {
                found.push(Import { path: prefix.clone(), name: prefix.last().cloned() });
            }
            UseTree::Name(name) => {
                let path = [prefix.clone(), vec![name.ident.to_string()]].concat();
                found.push(Import { path, name: Some(name.ident.to_string()) });
            }
            UseTree::Rename(rename) => {
                let mut path = prefix.clone();
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                found.push(Import { path, name: Some(rename.rename.to_string()) });
            }
        }
    }
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn item_name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
