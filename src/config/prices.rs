//! The list of prices in a store's `keyfold.toml`: decimal numbers, read without rounding.

use crate::model::{Error, Kind, Result, StorageClass};
use crate::store::{ClassPrices, Prices};
use serde::Deserialize;
use toml::{Spanned, Value};

/// Digits after the point that a price may have.
const DIGITS: usize = 9;
/// Longest name of a currency.
const CURRENCY_BYTES_MAX: usize = 16;

type Setting = Option<Spanned<Value>>;

/// The table `[prices]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "SCREAMING_SNAKE_CASE", expecting = "the table [prices]")]
pub(super) struct RawPrices {
    #[serde(rename = "currency")]
    currency: Setting,
    #[serde(rename = "transfer")]
    transfer: Setting,
    #[serde(rename = "monitoring")]
    monitoring: Setting,
    standard: RawClass,
    standard_ia: RawClass,
    onezone_ia: RawClass,
    intelligent_tiering: RawClass,
    glacier_ir: RawClass,
    glacier: RawClass,
    deep_archive: RawClass,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "the prices of a storage class")]
struct RawClass {
    storage: Setting,
    put: Setting,
    get: Setting,
    transition: Setting,
    retrieval: Setting,
    retrieval_expedited: Setting,
    retrieval_bulk: Setting,
}

impl RawPrices {
    /// Puts what is set into place; `complain` is told of what cannot be: where it stands, its name, and why.
    pub(super) fn read(self, prices: &mut Prices, complain: &mut dyn FnMut(usize, &str, &Error)) {
        if let Some(currency) = self.currency {
            match currency.get_ref().as_str().filter(|text| !text.is_empty() && text.len() <= CURRENCY_BYTES_MAX) {
                Some(text) => text.clone_into(&mut prices.currency),
                None => {
                    let error = Error::new(Kind::InvalidArgument, "cannot use the value")
                        .why(format!("it is a name of up to {CURRENCY_BYTES_MAX} bytes such as \"USD\""));
                    complain(currency.span().start, "prices.currency", &error);
                }
            }
        }
        let mut set = |name: &str, setting: Setting, slot: &mut u64| {
            let Some(setting) = setting else { return };
            match price(setting.get_ref()) {
                Ok(value) => *slot = value,
                Err(error) => complain(setting.span().start, name, &error),
            }
        };
        set("prices.transfer", self.transfer, &mut prices.transfer);
        set("prices.monitoring", self.monitoring, &mut prices.monitoring);
        for (class, raw) in [
            (StorageClass::Standard, self.standard),
            (StorageClass::StandardIa, self.standard_ia),
            (StorageClass::OnezoneIa, self.onezone_ia),
            (StorageClass::IntelligentTiering, self.intelligent_tiering),
            (StorageClass::GlacierIr, self.glacier_ir),
            (StorageClass::Glacier, self.glacier),
            (StorageClass::DeepArchive, self.deep_archive),
        ] {
            let ClassPrices { storage, put, get, transition, retrieval: [expedited, usual, bulk] } =
                &mut prices.classes[class];
            for (word, setting, slot) in [
                ("storage", raw.storage, storage),
                ("put", raw.put, put),
                ("get", raw.get, get),
                ("transition", raw.transition, transition),
                ("retrieval", raw.retrieval, usual),
                ("retrieval_expedited", raw.retrieval_expedited, expedited),
                ("retrieval_bulk", raw.retrieval_bulk, bulk),
            ] {
                set(&format!("prices.{}.{word}", class.name()), setting, slot);
            }
        }
    }
}

/// A price in billionths.
fn price(value: &Value) -> Result<u64> {
    decimal_of(value, DIGITS).ok_or_else(|| {
        Error::new(Kind::InvalidArgument, "cannot use the value")
            .why(format!("a price is a number such as 0.023, not negative, with up to {DIGITS} digits after the point"))
    })
}

/// A number, or the text of one, that is not negative and has at most `digits` after the point, which are moved before it.
pub(super) fn decimal_of(value: &Value, digits: usize) -> Option<u64> {
    match value {
        Value::String(text) => decimal(text, digits),
        Value::Integer(number) => decimal(&number.to_string(), digits),
        // The shortest text that reads back as the number: what was written.
        Value::Float(number) => decimal(&number.to_string(), digits),
        _ => None,
    }
}

fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn prices_are_read_as_they_are_written() {
        for (text, nanos) in [
            ("0.023", Some(23_000_000)),
            ("0.00099", Some(990_000)),
            ("0.000000001", Some(1)),
            ("3", Some(3_000_000_000)),
            ("0", Some(0)),
            ("0.0000000001", None),
            ("-1", None),
            ("1e-3", None),
            (".5", None),
            ("", None),
            ("99999999999999", None),
        ] {
            assert_eq!(decimal(text, 9), nanos, "{text}");
        }
    }
}
