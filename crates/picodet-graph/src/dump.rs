//! Formats a graph as text: one line per node, or a tree of the paper's blocks.

use std::fmt::Write;

use crate::{Cost, Graph, Node};

impl Graph {
    /// Formats one line per node in topological order: `%12 = conv 3x3 -> 24 (%11)  [n, 24, 1/2, 1/2]  backbone.stem.conv`.
    #[must_use]
    pub fn dump(&self) -> String {
        let mut text = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<String> = node.inputs.iter().map(|input| format!("%{}", input.0)).collect();
            let call = format!("%{index} = {} ({})", node.op, inputs.join(", "));
            let _ = writeln!(text, "{call:<52} {:<24} {}", node.shape.to_string(), node.scope);
        }
        for output in &self.outputs {
            let _ = writeln!(text, "{} = %{}", output.name, output.node.0);
        }
        text
    }

    /// Formats the blocks as a tree of at most `depth` levels of the scope path, with the output shape of each block, its
    /// parameters and its multiply-accumulates for an input of `input` = (height, width) pixels.
    #[must_use]
    pub fn tree(&self, input: (usize, usize), depth: usize) -> String {
        let mut text = String::new();
        self.tree_level(&self.nodes.iter().collect::<Vec<_>>(), input, 0, depth, &mut text);
        text
    }

    fn tree_level(
        &self,
        nodes: &[&Node],
        input: (usize, usize),
        level: usize,
        depth: usize,
        text: &mut String,
    ) {
        let mut rest = nodes;
        while let Some(first) = rest.first() {
            let name = first.scope.split('.').nth(level);
            let len = rest.iter().take_while(|node| node.scope.split('.').nth(level) == name).count();
            let (block, after) = rest.split_at(len);
            rest = after;
            let Some(name) = name else { continue };
            let mut cost = Cost::default();
            block.iter().for_each(|node| cost += self.cost_of(node, input));
            let [channels, height, width] = block[len - 1].shape.resolve(input);
            let label = match block {
                [leaf] if leaf.scope.split('.').count() == level + 1 => {
                    format!("{}{name}: {}", "  ".repeat(level), leaf.op)
                }
                _ => format!("{}{name}", "  ".repeat(level)),
            };
            let shape = format!("{channels} x {height} x {width}");
            let numbers = match (cost.parameters, cost.macs) {
                (0, 0) => String::new(),
                (parameters, macs) => format!("{parameters:>10} {:>10.2} M", macs as f64 / 1e6),
            };
            let _ = writeln!(text, "{}", format!("{label:<52} {shape:<18} {numbers}").trim_end());
            if level + 1 < depth && !(block.len() == 1 && block[0].scope.split('.').count() == level + 1) {
                self.tree_level(block, input, level + 1, depth, text);
            }
        }
    }
}
