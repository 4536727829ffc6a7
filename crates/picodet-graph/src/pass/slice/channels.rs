//! The channels that the result of each operation keeps.

use super::error::SliceRule;
use crate::{Convolution, Node, Op, Param, Role};

/// For each channel of a map of the sub-network, its channel in the supernet's map.
pub(super) type Channels = Vec<usize>;

/// A node of both networks, with what its inputs keep.
pub(super) struct Operands<'a> {
    pub(super) node: &'a Node,
    pub(super) large: &'a Node,
    pub(super) inputs: Vec<&'a Channels>,
    /// Channels of the inputs of the supernet's node.
    pub(super) widths: Vec<usize>,
    /// The channels of the map with which the result is multiplied or to which it is added.
    pub(super) partner: Option<&'a Channels>,
}

impl Operands<'_> {
    /// The channels of the result.
    pub(super) fn channels(&self) -> Result<Channels, SliceRule> {
        let differ = Err(SliceRule::Operation { expected: self.large.op, found: self.node.op });
        if self.inputs.len() != self.widths.len() {
            return differ;
        }
        match (self.node.op, self.large.op) {
            (Op::Convolution(small), Op::Convolution(large)) => self.convolution(small, large),
            (Op::Linear { out_features: small }, Op::Linear { out_features: large }) => first(small, large),
            (Op::Slice { start, len }, Op::Slice { start: from, len: available }) => {
                let part = self.inputs[0].get(start..start + len).ok_or(SliceRule::InsidePart)?;
                let inside = |&channel: &usize| channel.checked_sub(from).filter(|&moved| moved < available);
                part.iter().map(inside).collect::<Option<_>>().ok_or(SliceRule::InsidePart)
            }
            (small, large) if small != large => differ,
            (Op::Input, _) => Ok((0..self.node.shape.channels).collect()),
            (Op::Add | Op::Scale, _) if self.inputs[0] != self.inputs[1] => Err(SliceRule::EqualChannels),
            (Op::GeometricMean { .. }, _) if self.inputs[1][..] != [0] => Err(SliceRule::EqualChannels),
            (Op::Concat, _) => {
                let starts = self.widths.iter().scan(0, |start, width| {
                    *start += width;
                    Some(*start - width)
                });
                let moved = |(input, start): (&&Channels, usize)| -> Channels {
                    input.iter().map(|channel| channel + start).collect()
                };
                Ok(self.inputs.iter().zip(starts).flat_map(moved).collect())
            }
            (Op::ChannelShuffle, _) => Ok(shuffled(self.inputs[0], self.widths[0])),
            _ => Ok(self.inputs[0].clone()),
        }
    }

    fn convolution(&self, small: Convolution, large: Convolution) -> Result<Channels, SliceRule> {
        let (width, available) = (self.inputs[0].len(), self.widths[0]);
        let depthwise = small.is_depthwise(width) && large.is_depthwise(available);
        let same = Convolution { out_channels: 0, kernel: 0, groups: 0, ..small }
            == Convolution { out_channels: 0, kernel: 0, groups: 0, ..large };
        if !same || !(depthwise || (small.groups == 1 && large.groups == 1)) {
            let (expected, found) = (Op::Convolution(large), Op::Convolution(small));
            return Err(SliceRule::Operation { expected, found });
        }
        if small.kernel > large.kernel {
            return Err(SliceRule::Larger { available: large.kernel, found: small.kernel });
        }
        if depthwise {
            return Ok(self.inputs[0].clone());
        }
        match self.partner {
            Some(partner) if partner.len() == small.out_channels => Ok(partner.clone()),
            _ => first(small.out_channels, large.out_channels),
        }
    }

    /// The kept indices along each axis of a parameter of the supernet.
    pub(super) fn axes(
        &self,
        param: &Param,
        source: &Param,
        channels: &Channels,
    ) -> Result<Vec<Vec<usize>>, SliceRule> {
        let axes = match (self.node.op, param.role) {
            (Op::Convolution(small), Role::Weight) => {
                let Op::Convolution(large) = self.large.op else { unreachable!("checked with the channels") };
                let border = (large.kernel - small.kernel) / 2;
                let window: Vec<usize> = (border..border + small.kernel).collect();
                let inputs = if small.groups == 1 { self.inputs[0].clone() } else { vec![0] };
                vec![channels.clone(), inputs, window.clone(), window]
            }
            (Op::Linear { .. }, Role::Weight) => vec![self.inputs[0].clone(), channels.clone()],
            _ => vec![channels.clone()],
        };
        let fits = axes.len() == param.shape.len()
            && axes.len() == source.shape.len()
            && axes.iter().zip(&param.shape).all(|(axis, &extent)| axis.len() == extent)
            && axes.iter().zip(&source.shape).all(|(axis, &extent)| axis.iter().all(|&at| at < extent));
        if fits { Ok(axes) } else { Err(SliceRule::Parameter { name: param.name.clone() }) }
    }
}

fn first(count: usize, available: usize) -> Result<Channels, SliceRule> {
    if count > available {
        return Err(SliceRule::Larger { available, found: count });
    }
    Ok((0..count).collect())
}

/// The channels after a shuffle of both maps, the supernet's of `width` channels.
fn shuffled(channels: &[usize], width: usize) -> Channels {
    let source = |position: usize| position / 2 + position % 2 * (channels.len() / 2);
    let half = width / 2;
    let target = |channel: usize| if channel < half { 2 * channel } else { 2 * (channel - half) + 1 };
    (0..channels.len()).map(|position| target(channels[source(position)])).collect()
}
