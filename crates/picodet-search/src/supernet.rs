//! The supernet in training: each step adds up the gradients of several of its networks.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use picodet_graph::pass::{SliceMap, slice_map};
use picodet_graph::{Graph, TensorView, Weights};
use picodet_train::group::ProcessGroup;
use picodet_train::state::Progress;
use picodet_train::{
    BackendError, CpuNetwork, HeadGradients, Learner, Objective, Predictions, StepInput, StepOutput, Teacher,
    TrainingBackend, learn, learn_from, level_maps,
};

use crate::sandwich::Sandwich;
use crate::{Genome, SearchError, Space};

/// The networks of a space in training. The gradient of a step is the mean of the gradients of its networks, which share
/// the batch; the loss and the statistics of batch norms are those of the largest, whose predictions the others may learn.
#[derive(Debug)]
pub struct Supernet {
    space: Space,
    sandwich: Sandwich,
    classes: usize,
    seed: u64,
    network: CpuNetwork,
    graph: Graph,
    /// The corners of the space, which many steps train.
    corners: HashMap<Genome, Option<Arc<Part>>>,
    /// The network of the last pass.
    selected: Genome,
    statistics: Vec<(String, Vec<f32>)>,
    head: HeadGradients,
    /// The predictions of the largest network for the batch, if the others learn them.
    teacher: Option<Predictions<'static>>,
    distance: HeadGradients,
}

/// A network of the space with its part of the supernet's parameters.
#[derive(Debug)]
struct Part {
    graph: Graph,
    map: SliceMap,
}

impl Supernet {
    /// Prepares the supernet for the steps after `progress`, in a run of `of_steps` steps.
    ///
    /// # Errors
    /// If the networks of the space cannot be trained.
    pub fn new(
        space: Space,
        sandwich: Sandwich,
        progress: &Progress,
        of_steps: usize,
    ) -> Result<Self, SearchError> {
        let classes = progress.classes.len();
        let selected = space.largest();
        let graph = training_graph(&space, &selected, classes).ok_or(SearchError::Empty)?;
        let smallest = training_graph(&space, &space.smallest(), classes).ok_or(SearchError::Empty)?;
        slice_map(&graph, &smallest)?;
        // Dropout counts the passes. Steps before the run was planned are those of a run without a time limit.
        let (planned, whole) = progress.plan.map_or((0, 0), |plan| (plan.at_step, plan.of_steps));
        let first = sandwich.passes(&space, 0..planned, whole)
            + sandwich.passes(&space, planned..progress.step, of_steps);
        let network = CpuNetwork::new(&graph, progress.threads, &progress.frozen, progress.seed, first)
            .map_err(BackendError::from)?;
        let corners = space.corners().into_iter().map(|corner| (corner, None)).collect();
        Ok(Self {
            space,
            sandwich,
            classes,
            seed: progress.seed,
            network,
            graph,
            corners,
            selected,
            statistics: Vec::new(),
            head: HeadGradients::default(),
            teacher: None,
            distance: HeadGradients::default(),
        })
    }

    /// Joins a process group, see [`CpuNetwork::join`].
    pub fn join(&mut self, group: Arc<dyn ProcessGroup>, batch: usize) {
        self.network.join(group, batch);
    }

    /// Returns a network of the space; keeps corners.
    fn part(&mut self, genome: &Genome) -> Result<Arc<Part>, BackendError> {
        if let Some(Some(part)) = self.corners.get(genome) {
            return Ok(Arc::clone(part));
        }
        let graph = training_graph(&self.space, genome, self.classes).ok_or(BackendError::NoForward)?;
        let part = Arc::new(Part { map: slice_map(&self.graph, &graph)?, graph });
        if let Some(place) = self.corners.get_mut(genome) {
            *place = Some(Arc::clone(&part));
        }
        Ok(part)
    }

    /// Computes loss and gradients of one network of the space, and adds the gradients to `sums`.
    fn add(
        &mut self,
        genome: &Genome,
        weights: &Weights,
        step: &StepInput<'_>,
        sums: &mut Weights,
    ) -> Result<(), BackendError> {
        let part = self.part(genome)?;
        let Part { graph, map } = &*part;
        let own = map.gather(weights)?;
        self.network.select(graph)?;
        self.selected.clone_from(genome);
        let share = self.sandwich.distillation;
        let gradients = &mut self.distance;
        let teacher = self.teacher.as_ref().map(|predictions| Teacher { predictions, share, gradients });
        let found = learn_from(&mut self.network, &own, step, teacher, &mut self.head)?;
        for param in &map.params {
            if let (Some(own), Some(sum)) = (found.gradients.get(param.name()), sums.get_mut(param.source()))
            {
                param.scatter_add(&own.data, &mut sum.data);
            }
        }
        Ok(())
    }
}

impl Learner for Supernet {
    fn learn(&mut self, weights: &Weights, step: &StepInput<'_>) -> Result<StepOutput, BackendError> {
        let genomes = self.sandwich.genomes(&self.space, self.seed, step.number, step.of_steps);
        if self.selected != genomes[0] {
            self.network.select(&self.graph)?;
            self.selected.clone_from(&genomes[0]);
        }
        let mut found = learn(&mut self.network, weights, step, &mut self.head)?;
        self.statistics = self.network.statistics();
        if self.sandwich.distillation > 0.0 && genomes.len() > 1 {
            let levels = level_maps(|name| self.network.output(name), step.strides);
            self.teacher = Some(Predictions::new(&levels).copied());
        }
        for genome in &genomes[1..] {
            self.add(genome, weights, step, &mut found.gradients)?;
        }
        let share = 1.0 / genomes.len() as f32;
        if genomes.len() > 1 {
            found.gradients.values_mut().flat_map(|sum| &mut sum.data).for_each(|sum| *sum *= share);
        }
        Ok(found)
    }

    fn output(&self, name: &str) -> Option<TensorView<'_>> {
        self.network.output(name)
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.statistics.clone()
    }

    fn passes(&self, steps: Range<usize>, of_steps: usize) -> usize {
        self.sandwich.passes(&self.space, steps, of_steps)
    }
}

/// The graph of a candidate in training; `None` if the genome is not of the space.
pub(crate) fn training_graph(space: &Space, genome: &Genome, classes: usize) -> Option<Graph> {
    let candidate = space.candidate(genome)?;
    Some(Objective::graph(&picodet_model::graph_of(&candidate.architecture, classes, false)))
}
