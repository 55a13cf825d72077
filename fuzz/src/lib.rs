//! The invariants the tests hold too, for the fuzz targets.

#[path = "../../tests/it/invariants.rs"]
pub mod invariants;
