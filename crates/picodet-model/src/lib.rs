//! A model as a network with its weights and metadata; conversion of published weights.
