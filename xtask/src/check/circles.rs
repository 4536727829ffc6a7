//! The files of a crate use each other in one direction.
//!
//! A file uses another one if it names an item that the other one defines. Re-exports, such as those of `lib.rs` and
//! `mod.rs`, are followed to the definition and are no use themselves. Tests may use any file.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, Visibility};

use super::module_tree::{ModuleTree, Path, imports, is_test, module_path};
use super::problem::Problem;
use super::sources::Source;

/// The files that each file uses.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Checks every package.
pub(super) fn check(sources: &[Source]) -> Vec<Problem> {
    let mut packages: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.module_file().is_some()) {
        packages.entry(source.package()).or_default().push(source);
    }
    packages.into_iter().flat_map(|(package, sources)| check_package(package, &sources)).collect()
}

fn check_package(package: &str, sources: &[&Source]) -> Vec<Problem> {
    let tree = ModuleTree::new(sources);
    let mut graph = Graph::new();
    for source in sources {
        let Some(file) = source.module_file() else { continue };
        let mut uses = Uses { tree: &tree, module: module_path(file), found: BTreeSet::new() };
        uses.visit_file(&source.syntax);
        uses.found.remove(&source.path);
        graph.insert(source.path.clone(), uses.found);
    }
    let short = |path: &String| path.strip_prefix(package).unwrap_or(path).replacen("/src/", "", 1);
    let circles = circles(&graph).into_iter();
    circles
        .map(|circle| {
            let files: Vec<String> = circle.iter().chain(circle.first()).map(short).collect();
            Problem::new(package, format!("circle of files: {}", files.join(" -> ")))
        })
        .collect()
}

/// Collects the files that a file uses.
struct Uses<'a> {
    tree: &'a ModuleTree,
    module: Path,
    found: BTreeSet<String>,
}

impl Uses<'_> {
    fn add(&mut self, path: &[String]) {
        if let Some(file) = self.tree.file_of(&self.module, path) {
            self.found.insert(file.to_owned());
        }
    }

    /// Adds the paths in the tokens of a macro.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 && !path.is_empty() {
                        self.add(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    if !path.is_empty() {
                        self.add(&std::mem::take(&mut path));
                    }
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        if !path.is_empty() {
            self.add(&path);
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(item) {
            return;
        }
        match item {
            Item::Use(item) => {
                // Re-exports are followed at their uses.
                if matches!(item.vis, Visibility::Inherited) {
                    imports(&item.tree).iter().for_each(|import| self.add(&import.path));
                }
            }
            Item::Mod(module) => {
                self.module.push(module.ident.to_string());
                visit::visit_item_mod(self, module);
                self.module.pop();
            }
            item => visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Path = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&segments);
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(super)` and `pub(crate)` are no uses.
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.add_tokens(invocation.tokens.clone());
        visit::visit_macro(self, invocation);
    }
}

/// Returns a shortest circle through the first file of each group of files that reach each other.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for start in graph.keys() {
        if found.iter().flatten().any(|file| file == start) {
            continue;
        }
        found.extend(shortest_circle(graph, start));
    }
    found
}

/// Returns the files of a shortest way from `start` back to it.
fn shortest_circle(graph: &Graph, start: &String) -> Option<Vec<String>> {
    let mut before: BTreeMap<&String, &String> = BTreeMap::new();
    let mut queue = vec![start];
    let mut next = 0;
    while next < queue.len() {
        let file = queue[next];
        next += 1;
        for used in graph.get(file).into_iter().flatten() {
            if used == start {
                let mut circle = vec![file.clone()];
                while let Some(file) = before.get(&circle[circle.len() - 1]).copied() {
                    circle.push(file.clone());
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(used) {
                before.insert(used, file);
                queue.push(used);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(name, text): &(&str, &str)| Source {
            path: format!("crates/p/src/{name}"),
            text: (*text).to_owned(),
            syntax: syn::parse_file(text).expect("a file"),
        };
        let sources: Vec<Source> = files.iter().map(source).collect();
        super::check(&sources).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn circles_are_found() {
        let found = check(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use super::c::C; pub struct B;"),
            ("c.rs", "pub struct C(crate::a::A);"),
        ]);
        assert_eq!(found, ["circle of files: a.rs -> b.rs -> c.rs -> a.rs"]);
    }

    #[test]
    fn re_exports_are_followed_and_tests_are_free() {
        let fine = check(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::B; }"),
            ("b.rs", "use crate::A; pub struct B;"),
        ]);
        assert!(fine.is_empty(), "{fine:?}");
        let found = check(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::*;"),
            ("a.rs", "pub struct A; fn f() { let _ = vec![crate::B]; }"),
            ("b.rs", "use crate::A; pub struct B;"),
        ]);
        assert_eq!(found, ["circle of files: a.rs -> b.rs -> a.rs"]);
    }

    #[test]
    fn a_parent_that_calls_its_child_is_used_by_it() {
        let found = check(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; pub use b::f; pub struct A; fn g() { f() }"),
            ("a/b.rs", "use super::A; pub fn f() {}"),
        ]);
        assert_eq!(found, ["circle of files: a/b.rs -> a/mod.rs -> a/b.rs"]);
        let fine = check(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; pub use b::f; pub struct A;"),
            ("a/b.rs", "use super::A; pub fn f() {}"),
        ]);
        assert!(fine.is_empty(), "{fine:?}");
    }
}
