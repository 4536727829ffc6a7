//! Cycles of a loop by llvm-mca.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::assembly::Loop;
use crate::cross;

/// Notes for readers of the figures.
pub(super) const NOTES: &str = "\
Limit: multiply-adds of 128 bits a cycle, two on Neoverse N1 and one on Cortex-A55. Neoverse N1 is the server form of
Cortex-A76; LLVM has no model of Cortex-A76 itself (it takes Cortex-A57's). LLVM's model of Cortex-A55 issues two 128-bit
multiply-adds and one 128-bit load a cycle, but the core has 64-bit pipes: at least one cycle for each multiply-add and two
for each 128-bit load, during which nothing else is issued, are counted here.";

/// A processor core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Core {
    /// Out of order, two vector pipes.
    NeoverseN1,
    /// In order.
    CortexA55,
    /// Out of order, two vector pipes, with products of matrices.
    NeoverseN2,
}

impl Core {
    /// The cores of the table.
    pub(super) const ALL: [Self; 2] = [Self::NeoverseN1, Self::CortexA55];

    /// Multiply-adds on 128-bit vectors.
    pub(super) fn products_per_cycle(self) -> f64 {
        match self {
            Self::NeoverseN1 | Self::NeoverseN2 => 2.0,
            Self::CortexA55 => 1.0,
        }
    }

    /// The part of the limit that matrix products should reach.
    pub(super) fn least_of_limit(self) -> f64 {
        match self {
            Self::NeoverseN1 | Self::NeoverseN2 => 0.9,
            Self::CortexA55 => 0.75,
        }
    }

    fn model(self) -> &'static str {
        match self {
            Self::NeoverseN1 => "neoverse-n1",
            Self::CortexA55 => "cortex-a55",
            Self::NeoverseN2 => "neoverse-n2",
        }
    }
}

/// llvm-mca.
pub(super) struct Simulator {
    program: PathBuf,
    version: String,
}

impl Simulator {
    /// Finds a version that has a model of Neoverse N1.
    pub(super) fn find() -> Option<Self> {
        let names = [
            "llvm-mca",
            "llvm-mca-22",
            "llvm-mca-21",
            "llvm-mca-20",
            "llvm-mca-19",
            "llvm-mca-18",
            "llvm-mca-17",
            "llvm-mca-16",
        ];
        names.iter().find_map(|name| {
            let program = cross::program(&[name])?;
            let output = Command::new(&program).arg("--version").output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find(|line| line.contains("LLVM version"))?.trim().to_owned();
            let major: u32 = line.rsplit(' ').next()?.split('.').next()?.parse().ok()?;
            (major >= 16).then_some(Self { program, version: format!("llvm-mca of {line}") })
        })
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Returns the cycles of one iteration.
    pub(super) fn cycles(&self, core: Core, inner: &Loop<'_>) -> Result<f64> {
        const ITERATIONS: usize = 200;
        let mut child = Command::new(&self.program)
            .args(["-mtriple=aarch64", "-mattr=+fullfp16,+dotprod,+i8mm", &format!("-mcpu={}", core.model())])
            .arg(format!("-iterations={ITERATIONS}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("llvm-mca does not start")?;
        // The branch at the end would need its label.
        let body = inner.instructions[..inner.instructions.len() - 1].join("\n");
        if let Some(mut input) = child.stdin.take() {
            writeln!(input, "{body}")?;
        }
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let total =
            text.lines().find_map(|line| line.strip_prefix("Total Cycles:")?.trim().parse::<f64>().ok());
        let Some(total) = total else {
            bail!("llvm-mca does not understand a loop: {}", String::from_utf8_lossy(&output.stderr));
        };
        let cycles = total / ITERATIONS as f64;
        Ok(match core {
            Core::NeoverseN1 | Core::NeoverseN2 => cycles,
            Core::CortexA55 => cycles.max((inner.products + 2 * inner.wide_loads) as f64),
        })
    }
}
