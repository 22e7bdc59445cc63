//! What a month costs by a list of prices: pure arithmetic in whole numbers (COST-1, SC-13 to SC-15).
//!
//! Prices are in billionths of the currency, amounts in millionths: each line is rounded once, half up, and sums add the
//! rounded lines, so what is printed adds up.

use super::class::facts;
use crate::model::{ByClass, ClassMeter, Meter, Month, StorageClass};

/// Bytes of a gigabyte as S3 bills it.
const GB: u128 = 1 << 30;
/// Requests and objects that a price is for.
const THOUSAND: u128 = 1000;
/// Billionths of a price in a millionth.
const NANOS_OF_MICRO: u128 = 1000;

/// What things of a class cost, in billionths of the currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClassPrices {
    /// A gigabyte for a month.
    pub storage: u64,
    /// 1,000 requests that S3 calls PUT, COPY, POST or LIST.
    pub put: u64,
    /// 1,000 other requests.
    pub get: u64,
    /// 1,000 objects that a lifecycle rule brings here.
    pub transition: u64,
    /// A gigabyte fetched: expedited, at the usual pace or at once, in bulk.
    pub retrieval: [u64; 3],
}

/// A list of prices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prices {
    /// The currency's name: a label.
    pub currency: String,
    /// Of each class.
    pub classes: ByClass<ClassPrices>,
    /// A gigabyte sent out.
    pub transfer: u64,
    /// 1,000 objects that Intelligent-Tiering watches for a month.
    pub monitoring: u64,
}

impl Default for Prices {
    /// In the shape of S3's list for us-east-1.
    fn default() -> Self {
        let mut classes = ByClass::default();
        for (class, storage, put, get, transition, retrieval) in [
            (StorageClass::Standard, 23_000_000, 5_000_000, 400_000, 0, [0; 3]),
            (StorageClass::StandardIa, 12_500_000, 10_000_000, 1_000_000, 10_000_000, [0, 10_000_000, 0]),
            (StorageClass::OnezoneIa, 10_000_000, 10_000_000, 1_000_000, 10_000_000, [0, 10_000_000, 0]),
            (StorageClass::IntelligentTiering, 23_000_000, 5_000_000, 400_000, 10_000_000, [0; 3]),
            (StorageClass::GlacierIr, 4_000_000, 20_000_000, 10_000_000, 20_000_000, [0, 30_000_000, 0]),
            (StorageClass::Glacier, 3_600_000, 30_000_000, 400_000, 30_000_000, [30_000_000, 10_000_000, 0]),
            (StorageClass::DeepArchive, 990_000, 50_000_000, 400_000, 50_000_000, [0, 20_000_000, 2_500_000]),
        ] {
            classes[class] = ClassPrices { storage, put, get, transition, retrieval };
        }
        Self { currency: "USD".to_owned(), classes, transfer: 90_000_000, monitoring: 2_500_000 }
    }
}

/// A line of a bill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BillLine {
    /// The class whose use it is.
    pub class: StorageClass,
    /// What was used.
    pub item: &'static str,
    /// How much of it, in millionths of the unit.
    pub quantity: u128,
    /// The unit that the price is for.
    pub unit: &'static str,
    /// Of a unit, in billionths of the currency.
    pub price: u64,
    /// Quantity times price, in millionths of the currency.
    pub amount: u128,
}

/// `count * by / of`, rounded half up, digit by digit: the product may be more than a number holds. `of` is below 2^127.
const fn share(count: u128, by: u128, of: u128) -> u128 {
    let (whole, part) = (count / of, count % of);
    let (mut quotient, mut rest, mut bit) = (0u128, 0u128, u128::BITS - by.leading_zeros());
    while bit > 0 {
        bit -= 1;
        (quotient, rest) = (quotient << 1, rest << 1);
        if rest >= of {
            (quotient, rest) = (quotient + 1, rest - of);
        }
        if by >> bit & 1 == 1 {
            rest += part;
            if rest >= of {
                (quotient, rest) = (quotient + 1, rest - of);
            }
        }
    }
    whole.saturating_mul(by).saturating_add(quotient).saturating_add((rest >= of.div_ceil(2)) as u128)
}

/// What a bucket's use in a month costs, class by class; what costs nothing is told, what was not used is not.
#[must_use]
pub fn bill(month: Month, meter: &Meter, prices: &Prices) -> Vec<BillLine> {
    let gb_month = GB.saturating_mul(month.nanos());
    let mut lines = Vec::new();
    let mut line = |class, item, (count, of): (u128, u128), unit, price: u64| {
        if count > 0 {
            let quantity = share(count, 1_000_000, of);
            let amount = share(count, u128::from(price), of.saturating_mul(NANOS_OF_MICRO));
            lines.push(BillLine { class, item, quantity, unit, price, amount });
        }
    };
    let standard = prices.classes[StorageClass::Standard].storage;
    for (class, used) in meter.classes.iter() {
        let (price, facts) = (&prices.classes[class], facts(class));
        let ClassMeter { byte_time, object_time, watched_time, early_time, .. } = *used;
        line(class, "storage", (byte_time, gb_month), "GB-month", price.storage);
        let overhead = |bytes: u64| object_time.saturating_mul(u128::from(bytes));
        line(class, "overhead", (overhead(facts.overhead.0), gb_month), "GB-month", price.storage);
        line(class, "overhead, STANDARD", (overhead(facts.overhead.1), gb_month), "GB-month", standard);
        line(class, "early deletion", (early_time, gb_month), "GB-month", price.storage);
        let watched = month.nanos().saturating_mul(THOUSAND);
        line(class, "monitoring", (watched_time, watched), "1,000 objects", prices.monitoring);
        line(class, "transitions", (used.transitions.into(), THOUSAND), "1,000 objects", price.transition);
        line(class, "PUT, COPY, POST, LIST", (used.puts.into(), THOUSAND), "1,000 requests", price.put);
        line(class, "GET and others", (used.gets.into(), THOUSAND), "1,000 requests", price.get);
        let paces = ["retrieval, expedited", "retrieval", "retrieval, bulk"];
        for ((item, bytes), price) in paces.into_iter().zip(used.retrieved).zip(price.retrieval) {
            line(class, item, (bytes.into(), GB), "GB", price);
        }
        line(class, "bytes out", (used.sent.into(), GB), "GB", prices.transfer);
        if class == StorageClass::Standard {
            line(class, "uploads in progress", (meter.upload_time, gb_month), "GB-month", price.storage);
            line(class, "restored copies", (meter.restored_time, gb_month), "GB-month", price.storage);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{ClassMeter, GB, Meter, Month, Prices, StorageClass, bill, share};
    use proptest::prelude::*;

    fn month() -> Month {
        Month::parse("2026-09").unwrap()
    }

    fn amounts(class: StorageClass, used: ClassMeter) -> Vec<(&'static str, u128, u128)> {
        let mut meter = Meter::default();
        meter.classes[class] = used;
        bill(month(), &meter, &Prices::default()).iter().map(|line| (line.item, line.quantity, line.amount)).collect()
    }

    #[test]
    fn cost_1_a_bill_tells_quantity_times_price() {
        let used = ClassMeter {
            byte_time: 100 * GB * month().nanos(),
            puts: 2500,
            gets: 10_000,
            sent: 3 << 30,
            ..ClassMeter::default()
        };
        assert_eq!(
            amounts(StorageClass::Standard, used),
            [
                ("storage", 100_000_000, 2_300_000),
                ("PUT, COPY, POST, LIST", 2_500_000, 12_500),
                ("GET and others", 10_000_000, 4_000),
                ("bytes out", 3_000_000, 270_000),
            ]
        );
        let meter =
            Meter { upload_time: GB * month().nanos(), restored_time: 2 * GB * month().nanos(), ..Meter::default() };
        let lines = bill(month(), &meter, &Prices::default());
        let told: Vec<_> = lines.iter().map(|line| (line.item, line.amount)).collect();
        assert_eq!(told, [("uploads in progress", 23_000), ("restored copies", 46_000)]);
        assert_eq!(bill(month(), &Meter::default(), &Prices::default()), []);
    }

    #[test]
    fn sc_15_archived_objects_cost_overhead_at_two_rates() {
        // 32,768 objects of no bytes: 1 GB at the archive's rate and a quarter of one at that of STANDARD.
        let used = ClassMeter { object_time: 32_768 * month().nanos(), ..ClassMeter::default() };
        assert_eq!(
            amounts(StorageClass::Glacier, used),
            [("overhead", 1_000_000, 3_600), ("overhead, STANDARD", 250_000, 5_750)]
        );
        assert_eq!(amounts(StorageClass::StandardIa, used), []);
    }

    #[test]
    fn sc_7_watched_objects_cost_a_fee_and_no_retrieval() {
        let used = ClassMeter { watched_time: 4000 * month().nanos(), ..ClassMeter::default() };
        assert_eq!(amounts(StorageClass::IntelligentTiering, used), [("monitoring", 4_000_000, 10_000)]);
        let used = ClassMeter { retrieved: [1 << 30; 3], ..ClassMeter::default() };
        let told = |class| amounts(class, used).into_iter().map(|(_, _, amount)| amount).collect::<Vec<_>>();
        assert_eq!(told(StorageClass::IntelligentTiering), [0; 3]);
        assert_eq!(told(StorageClass::Glacier), [30_000, 10_000, 0]);
        assert_eq!(told(StorageClass::GlacierIr), [0, 30_000, 0]);
    }

    #[test]
    fn sums_of_a_large_store_are_exact() {
        // An exabyte for a month.
        let used = ClassMeter { byte_time: (1u128 << 60) * month().nanos(), ..ClassMeter::default() };
        assert_eq!(amounts(StorageClass::Standard, used), [("storage", (1 << 30) * 1_000_000, (1 << 30) * 23_000)]);
    }

    #[test]
    fn cost_1_dear_prices_and_much_data_do_not_overflow() {
        let used = ClassMeter { byte_time: 500 * GB * month().nanos() + 1, ..ClassMeter::default() };
        let mut meter = Meter::default();
        meter.classes[StorageClass::Standard] = used;
        let mut prices = Prices::default();
        prices.classes[StorageClass::Standard].storage = 368_000_000_000;
        assert_eq!(bill(month(), &meter, &prices)[0].amount, 184_000_000_000);
        meter.classes[StorageClass::Standard].byte_time = 500 * GB * month().nanos() - 1;
        assert_eq!(bill(month(), &meter, &prices)[0].amount, 184_000_000_000);
    }

    proptest! {
        #[test]
        fn shares_are_rounded_half_up(count in 0u128..1 << 60, by in 0u128..1 << 30, of in 1u128..1 << 30) {
            prop_assert_eq!(share(count, by, of), (count * by * 2 + of) / (2 * of));
        }
    }
}
