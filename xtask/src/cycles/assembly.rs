//! The inner loops of functions in an assembly file.

use std::collections::HashMap;

use rustc_demangle::demangle;

/// Functions by demangled name.
pub(super) struct Assembly<'a> {
    functions: Vec<(String, Vec<&'a str>)>,
}

/// The body of a loop.
pub(super) struct Loop<'a> {
    pub(super) instructions: Vec<&'a str>,
    /// Multiply-add instructions on 128-bit vectors.
    pub(super) products: usize,
    /// Multiply-accumulates in them.
    pub(super) macs: usize,
    /// 128-bit loads; a pair counts twice.
    pub(super) wide_loads: usize,
}

impl<'a> Assembly<'a> {
    /// Cuts a file into functions.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut functions: Vec<(String, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) =
                line.strip_prefix(".type").and_then(|rest| rest.trim().strip_suffix(",@function"))
            {
                functions.push((format!("{:#}", demangle(name)), Vec::new()));
            } else if let Some((_, body)) = functions.last_mut() {
                body.push(line);
            }
        }
        Self { functions }
    }

    /// Returns the inner loop with most products, of the function whose name has all of these parts.
    pub(super) fn inner_loop(&self, parts: &[&str]) -> Option<Loop<'a>> {
        let named = self.functions.iter().filter(|(name, _)| parts.iter().all(|part| name.contains(part)));
        let loops = named.flat_map(|(_, body)| inner_loops(body));
        // Of several loops with equal products the one with the fewest other instructions: the usual case of the code.
        loops.max_by_key(|inner| (inner.macs, usize::MAX - inner.instructions.len()))
    }
}

/// The loops of a function that contain no other branch.
fn inner_loops<'a>(body: &[&'a str]) -> Vec<Loop<'a>> {
    let mut labels = HashMap::new();
    let mut loops = Vec::new();
    for (index, line) in body.iter().enumerate() {
        if let Some(label) = line.strip_suffix(':') {
            labels.insert(label, index);
            continue;
        }
        // An unconditional branch back ends a part of a function that was moved to its end.
        let conditional = !line.starts_with("b\t") && !line.starts_with("b ");
        let Some(target) = branch(line).filter(|_| conditional) else { continue };
        let target = target.strip_suffix('b').filter(|label| label.parse::<u32>().is_ok()).unwrap_or(target);
        let Some(&start) = labels.get(target) else { continue };
        let instructions: Vec<&str> =
            body[start..=index].iter().copied().filter(|line| is_instruction(line)).collect();
        let inner =
            instructions.iter().filter(|line| branch(line).is_some() || line.starts_with("bl")).count() == 1;
        if inner {
            loops.extend(Loop::new(instructions));
        }
    }
    loops
}

fn is_instruction(line: &str) -> bool {
    !line.is_empty() && !line.ends_with(':') && !line.starts_with(['.', '/', '#'])
}

/// The target of a branch.
fn branch(line: &str) -> Option<&str> {
    let (operation, operands) = line.split_once(char::is_whitespace)?;
    let branches = operation == "b"
        || operation.starts_with("b.")
        || operation.starts_with("cb")
        || operation.starts_with("tb");
    branches.then(|| operands.rsplit(',').next().unwrap_or(operands).trim())
}

impl<'a> Loop<'a> {
    /// A loop, if there are products in it.
    fn new(instructions: Vec<&'a str>) -> Option<Self> {
        let (mut products, mut macs, mut wide_loads) = (0, 0, 0);
        for line in &instructions {
            let Some((operation, operands)) = line.split_once(char::is_whitespace) else { continue };
            let operands = operands.trim();
            let lanes = match operation {
                "fmla" if operands.contains(".8h,") => 8,
                "fmla" if operands.contains(".4s,") => 4,
                "usmmla" => 32,
                "sdot" | "udot" | "usdot" | "sudot" => 16,
                "smull" | "smull2" | "smlal" | "smlal2" | "mul" if operands.contains(".8h,") => 8,
                "ldr" | "ldur" | "ld1" if operands.starts_with(['q', '{']) => {
                    wide_loads += 1;
                    continue;
                }
                "ldp" if operands.starts_with('q') => {
                    wide_loads += 2;
                    continue;
                }
                _ => continue,
            };
            products += 1;
            macs += lanes;
        }
        (products > 0).then_some(Self { instructions, products, macs, wide_loads })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        .type _RNvC1a6outer,@function
    outer:
        ldr q0, [x0]
    2:
        fmla v8.8h, v0.8h, v4.h[0]
        ldr h4, [x1, x2]
        ldp q0, q1, [x3]
        subs x5, x5, #1
        b.ne 2b
    .LBB0_1:
        fmla v8.4s, v0.4s, v4.4s
        cbz x1, .LBB0_2
        b .LBB0_1
    .LBB0_2:
        ret
    .LBB0_3:
        fmla v8.8h, v0.8h, v4.8h
        fmla v8.8h, v0.8h, v4.8h
        b .LBB0_3
        .type _RNvC1a4none,@function
        ret
    ";

    #[test]
    fn the_loop_without_other_branches_is_found() {
        let assembly = Assembly::parse(TEXT);
        let Some(inner) = assembly.inner_loop(&["outer"]) else { panic!("a loop") };
        assert_eq!((inner.products, inner.macs, inner.wide_loads, inner.instructions.len()), (1, 8, 2, 5));
        assert!(assembly.inner_loop(&["none"]).is_none());
    }
}
