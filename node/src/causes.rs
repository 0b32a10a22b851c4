//! An error and its causes in one line, for logs and reports: of an error in a field, JSON logs would keep only its own words.

/// An error and its causes.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |sentence, cause| format!("{sentence}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tls::TlsError;
    use crate::storage::files::FileError;

    #[test]
    fn every_cause_is_told_in_its_order() {
        let deep = std::io::Error::other("no light");
        let error = TlsError::File(FileError::Io { path: "tls.key".into(), action: "read", source: deep });
        let told = told(&error);
        assert!(told.starts_with("a TLS file cannot be used: ") && told.ends_with(": no light"), "{told}");
    }
}
