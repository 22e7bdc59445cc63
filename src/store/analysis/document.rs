//! The document `analytics`: which objects are observed, and where the results go (SCA-1, SCA-9).

use super::super::configurations::{Configuration, Configurations, ID_CHARS_MAX, bad};
use super::super::tiering::TieringFilter;
use crate::model::{BucketName, ObjectKey, Result, TagSet};
use serde::{Deserialize, Serialize};

/// What a bucket's name follows in a destination.
const ARN: &str = "arn:aws:s3:::";
/// A document that is valid.
pub(in crate::store) const EXAMPLE: &str =
    r#"{"AnalyticsConfigurationList":[{"Id":"logs","Filter":{"Prefix":"logs/"},"StorageClassAnalysis":{}}]}"#;

/// A bucket's configurations, as `aws s3api list-bucket-analytics-configurations` prints them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalyticsDocument {
    /// The configurations, each with a name of its own.
    #[serde(rename = "AnalyticsConfigurationList")]
    pub configurations: Vec<AnalyticsElement>,
    /// What S3 says beside a list: whether it goes on.
    #[serde(rename = "IsTruncated", default, skip_serializing)]
    pub truncated: bool,
}

/// A configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AnalyticsElement {
    /// Its name.
    pub id: String,
    /// Which objects it is about; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<TieringFilter>,
    /// What is done with what is found out.
    pub storage_class_analysis: AnalysisElement,
}

/// `StorageClassAnalysis`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AnalysisElement {
    /// Where it is written each day; nowhere without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_export: Option<ExportElement>,
}

/// `DataExport`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ExportElement {
    /// `V_1`.
    pub output_schema_version: String,
    /// Where to.
    pub destination: DestinationElement,
}

/// `Destination`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationElement {
    /// A bucket.
    #[serde(rename = "S3BucketDestination")]
    pub bucket: BucketElement,
}

/// `S3BucketDestination`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct BucketElement {
    /// `CSV`.
    pub format: String,
    /// The account that the bucket is to belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_account_id: Option<String>,
    /// The bucket's ARN.
    pub bucket: String,
    /// What the object's key begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

impl Configurations for AnalyticsDocument {
    type One = AnalyticsElement;
    const DOCUMENT: &'static str = super::DOCUMENT;
    const RULE: &'static str = "SCA-1";

    fn list(&mut self) -> &mut Vec<AnalyticsElement> {
        &mut self.configurations
    }

    fn is_truncated(&self) -> bool {
        self.truncated
    }

    fn configurations(&self) -> &[AnalyticsElement] {
        &self.configurations
    }
}

impl Configuration for AnalyticsElement {
    fn id(&self) -> &str {
        &self.id
    }

    fn check(&self) -> Result<()> {
        let chars = self.id.chars().count();
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if chars == 0 || chars > ID_CHARS_MAX || !self.id.chars().all(good) {
            return Err(bad::<AnalyticsDocument>(format!(
                "an Id has 1 to {ID_CHARS_MAX} of a-z, A-Z, 0-9, '-', '_' and '.'"
            )));
        }
        self.filter.as_ref().map_or(Ok(()), TieringFilter::check)?;
        let Some(export) = &self.storage_class_analysis.data_export else { return Ok(()) };
        if export.output_schema_version != "V_1" {
            return Err(bad::<AnalyticsDocument>("an OutputSchemaVersion is V_1".to_owned()));
        }
        let bucket = &export.destination.bucket;
        if bucket.format != "CSV" {
            return Err(bad::<AnalyticsDocument>("a Format is CSV".to_owned()));
        }
        let Some((_, key)) = self.destination() else {
            return Err(bad::<AnalyticsDocument>(format!(
                "a destination is a bucket's ARN such as {ARN}reports, not {:?}",
                bucket.bucket
            )));
        };
        ObjectKey::parse(&key).map(drop).map_err(|error| {
            bad::<AnalyticsDocument>(format!("what is exported would have no key: {}", error.reason()))
        })
    }
}

impl AnalyticsElement {
    /// The bucket it is written to, and the object's key (SCA-9).
    #[must_use]
    pub fn destination(&self) -> Option<(BucketName, String)> {
        let to = &self.storage_class_analysis.data_export.as_ref()?.destination.bucket;
        let bucket = BucketName::parse(to.bucket.strip_prefix(ARN)?).ok()?;
        Some((bucket, format!("{}{}.csv", to.prefix.as_deref().unwrap_or_default(), self.id)))
    }

    /// Whether it is about an object.
    #[must_use]
    pub fn takes(&self, key: &str, tags: &TagSet) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.takes(key, tags))
    }

    /// Its filter in words; nothing for all objects.
    #[must_use]
    pub fn filter_text(&self) -> String {
        let Some(filter) = &self.filter else { return String::new() };
        let and = filter.and.as_ref();
        let prefixes = filter.prefix.iter().chain(and.and_then(|and| and.prefix.as_ref()));
        let tags = filter.tag.iter().chain(and.into_iter().flat_map(|and| &and.tags));
        let prefixes = prefixes.map(|prefix| format!("prefix={prefix}"));
        prefixes.chain(tags.map(|tag| format!("tag:{}={}", tag.key, tag.value))).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::{AnalyticsDocument, Configurations as _, TagSet};
    use crate::model::Kind;

    fn read(configurations: &str) -> Result<AnalyticsDocument, Option<Kind>> {
        let text = format!(r#"{{"AnalyticsConfigurationList":[{configurations}]}}"#);
        let document: AnalyticsDocument = serde_json::from_str(&text).map_err(|_| None)?;
        document.check().map(|()| document).map_err(|error| Some(error.kind()))
    }

    fn one(id: &str, filter: &str, export: &str) -> String {
        format!(r#"{{"Id":"{id}"{filter},"StorageClassAnalysis":{{{export}}}}}"#)
    }

    fn export(version: &str, format: &str, bucket: &str) -> String {
        format!(
            r#""DataExport":{{"OutputSchemaVersion":"{version}","Destination":{{"S3BucketDestination":{{"Format":"{format}","Bucket":"{bucket}","Prefix":"sca/"}}}}}}"#
        )
    }

    #[test]
    fn sca_1_a_bucket_has_a_thousand_configurations_by_prefix_tags_both_or_neither() {
        let many = |n: usize| (0..n).map(|n| one(&format!("c{n}"), "", "")).collect::<Vec<_>>().join(",");
        let bad = Err(Some(Kind::InvalidArgument));
        assert!(read(&many(1000)).is_ok() && read(&many(1001)) == Err(Some(Kind::TooManyConfigurations)));
        assert_eq!(
            [read(&[one("a", "", ""), one("a", "", "")].join(",")), read(&one("", "", "")), read(&one("a/b", "", ""))],
            [bad.clone(), bad.clone(), bad.clone()]
        );
        let filters = [
            (r#","Filter":{"Prefix":"logs/"}"#, "prefix=logs/", [true, false, false]),
            (r#","Filter":{"Tag":{"Key":"k","Value":"v"}}"#, "tag:k=v", [true, true, false]),
            (
                r#","Filter":{"And":{"Prefix":"logs/","Tags":[{"Key":"k","Value":"v"}]}}"#,
                "prefix=logs/&tag:k=v",
                [true, false, false],
            ),
            ("", "", [true, true, true]),
        ];
        let mut tags = TagSet::new();
        tags.set("k", "v").unwrap();
        for (filter, text, takes) in filters {
            let document = read(&one("a", filter, "")).unwrap();
            let found = &document.configurations[0];
            let told =
                [("logs/a", &tags), ("a", &tags), ("a", &TagSet::new())].map(|(key, tags)| found.takes(key, tags));
            assert_eq!((found.filter_text().as_str(), told), (text, takes));
        }
        assert_eq!(read(&one("a", r#","Filter":{"Prefix":"a","Tag":{"Key":"k","Value":"v"}}"#, "")), bad);
        assert_eq!(read(&one("a", r#","Filter":{}"#, "")), bad);
        let prefix = |bytes: usize| one("a", &format!(r#","Filter":{{"Prefix":"{}"}}"#, "p".repeat(bytes)), "");
        assert!(read(&prefix(1024)).is_ok() && read(&prefix(1025)) == bad);
        // As `aws s3api` prints them.
        for (truncated, good) in [(false, true), (true, false)] {
            let text = format!(r#"{{"IsTruncated":{truncated},"AnalyticsConfigurationList":[{}]}}"#, one("a", "", ""));
            let document: AnalyticsDocument = serde_json::from_str(&text).unwrap();
            assert_eq!(document.check().is_ok(), good);
            assert!(!serde_json::to_string(&document).unwrap().contains("IsTruncated"));
        }
    }

    #[test]
    fn sca_9_a_destination_is_a_bucket() {
        let document = read(&one("a", "", &export("V_1", "CSV", "arn:aws:s3:::reports"))).unwrap();
        let (bucket, key) = document.configurations[0].destination().unwrap();
        assert_eq!((bucket.as_str(), key.as_str()), ("reports", "sca/a.csv"));
        for (version, format, bucket) in
            [("V_2", "CSV", "arn:aws:s3:::reports"), ("V_1", "ORC", "arn:aws:s3:::reports"), ("V_1", "CSV", "reports")]
        {
            assert!(read(&one("a", "", &export(version, format, bucket))).is_err(), "{version} {format} {bucket}");
        }
        let long = |bytes| export("V_1", "CSV", "arn:aws:s3:::reports").replace("sca/", &"p".repeat(bytes));
        assert!(read(&one("a", "", &long(1019))).is_ok() && read(&one("a", "", &long(1020))).is_err());
    }
}
