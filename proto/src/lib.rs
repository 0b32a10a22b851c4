//! The wire: protobuf definitions and the code generated from them.
//!
//! What nodes say to each other is defined in `proto/scrapering/v1`, what other programs may ask a gateway in
//! `proto/scrapering/gateway/v1`; read those. The node turns these types into its core's own in
//! one file and trusts nothing in them before that.

/// Package `scrapering.v1`.
#[allow(missing_docs, clippy::all, reason = "generated from the .proto files, which carry the words")]
pub mod v1 {
    tonic::include_proto!("scrapering.v1");
}

/// Package `scrapering.gateway.v1`.
pub mod gateway {
    /// Its first version.
    #[allow(missing_docs, clippy::all, reason = "generated from the .proto files, which carry the words")]
    pub mod v1 {
        tonic::include_proto!("scrapering.gateway.v1");
    }

    /// The definition itself, an encoded `google.protobuf.FileDescriptorSet`, for those who ask what there is.
    pub const DEFINITION: &[u8] = tonic::include_file_descriptor_set!("gateway");
}
