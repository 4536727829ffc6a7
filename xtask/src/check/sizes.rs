//! Limits of the lengths of files and functions.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::problem::Problem;
use super::sources::Source;

/// Maximum number of lines of a file.
const MAX_FILE: usize = 500;
/// Maximum number of lines of a function, from its signature to its closing brace.
const MAX_FUNCTION: usize = 150;

/// Checks all files.
pub(super) fn check(sources: &[Source]) -> Vec<Problem> {
    sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<Problem> {
    let lines = source.text.lines().count();
    let mut functions = Functions { path: &source.path, problems: Vec::new() };
    if lines > MAX_FILE {
        functions
            .problems
            .push(Problem::new(&source.path, format!("file of {lines} lines, over {MAX_FILE}")));
    }
    functions.visit_file(&source.syntax);
    functions.problems
}

struct Functions<'a> {
    path: &'a str,
    problems: Vec<Problem>,
}

impl Functions<'_> {
    fn check(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = block.span().end().line + 1 - signature.span().start().line;
        if lines > MAX_FUNCTION {
            let message = format!("function `{}` of {lines} lines, over {MAX_FUNCTION}", signature.ident);
            self.problems.push(Problem::new(self.path, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.check(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_and_files_are_found() {
        let body = "    let _ = 1;\n".repeat(MAX_FUNCTION - 2);
        let check = |text: String| {
            let syntax = syn::parse_file(&text).expect("a file");
            check_file(&Source { path: "x.rs".to_owned(), text, syntax }).len()
        };
        assert_eq!(check(format!("fn fits() {{\n{body}}}\n")), 0);
        assert_eq!(check(format!("fn long() {{\n{body}\n}}\n")), 1);
        assert_eq!(check(format!("struct A;\nimpl A {{\nfn long() {{\n{body}\n}}\n}}\n")), 1);
        assert_eq!(check("// line\n".repeat(MAX_FILE)), 0);
        assert_eq!(check("// line\n".repeat(MAX_FILE + 1)), 1);
    }
}
