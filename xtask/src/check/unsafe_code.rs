//! `unsafe` is confined to a few crates; all others forbid it.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::problem::Problem;
use super::sources::Source;

/// Packages that may contain unsafe code.
const ALLOWED: [&str; 3] = ["crates/picodet-simd", "crates/picodet-kernel", "bindings/"];

/// Checks that other packages forbid unsafe code in their libraries and programs, and have none in their tests.
pub(super) fn check(sources: &[Source]) -> Vec<Problem> {
    let others =
        sources.iter().filter(|source| !ALLOWED.iter().any(|allowed| source.path.starts_with(allowed)));
    others.flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_root = matches!(source.module_file(), Some("lib.rs" | "main.rs"));
    if is_root && !source.syntax.attrs.iter().any(forbids_unsafe_code) {
        problems.push(Problem::new(&source.path, "`#![forbid(unsafe_code)]` is missing"));
    }
    let mut uses = UnsafeCode(0);
    uses.visit_file(&source.syntax);
    if uses.0 > 0 {
        problems.push(Problem::new(&source.path, format!("unsafe code ({} uses)", uses.0)));
    }
    problems
}

fn forbids_unsafe_code(attribute: &syn::Attribute) -> bool {
    matches!(attribute.style, syn::AttrStyle::Inner(_))
        && attribute.path().is_ident("forbid")
        && attribute.parse_args::<syn::Path>().is_ok_and(|lint| lint.is_ident("unsafe_code"))
}

/// Counts uses of `unsafe`.
struct UnsafeCode(usize);

impl<'ast> Visit<'ast> for UnsafeCode {
    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.0 += 1;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.0 += usize::from(signature.unsafety.is_some());
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.0 += usize::from(item.unsafety.is_some());
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.0 += usize::from(item.unsafety.is_some());
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.0 += usize::from(item.unsafety.is_some());
        visit::visit_item_foreign_mod(self, item);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.0 += count_in(invocation.tokens.clone());
    }
}

/// Counts the keyword in the tokens of a macro.
fn count_in(tokens: TokenStream) -> usize {
    let count = |token| match token {
        TokenTree::Ident(ident) => usize::from(ident == "unsafe"),
        TokenTree::Group(group) => count_in(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    };
    tokens.into_iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_and_missing_attributes_are_found() {
        let check = |path: &str, text: &str| {
            let syntax = syn::parse_file(text).expect("a file");
            check_file(&Source { path: path.to_owned(), text: text.to_owned(), syntax }).len()
        };
        assert_eq!(check("crates/a/src/lib.rs", "#![forbid(unsafe_code)]\nfn f() {}"), 0);
        assert_eq!(check("crates/a/src/lib.rs", "fn f() {}"), 1);
        assert_eq!(check("crates/a/src/b.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(check("crates/a/src/b.rs", "fn f() { m!(unsafe { g() }); s!(\"unsafe\"); }"), 1);
        assert_eq!(check("crates/a/tests/b.rs", "unsafe impl Send for A {}"), 1);
        assert_eq!(check("crates/a/src/b.rs", "// unsafe\nfn f() {}"), 0);
    }
}
