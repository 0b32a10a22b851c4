//! The wire between ScrapeRing nodes: protobuf definitions and the code generated from them.
//!
//! The definitions are in `proto/scrapering/v1`; read those. The node turns these types into its core's own in
//! one file and trusts nothing in them before that.

/// Package `scrapering.v1`.
#[allow(missing_docs, clippy::all, reason = "generated from the .proto files, which carry the words")]
pub mod v1 {
    tonic::include_proto!("scrapering.v1");
}
