//! The numbers of design 02, written down here a second time.

use dkg_bridge::parameters::Parameters;
use dkg_bridge::plan::{keys, KeyBits, KeyPlan};

fn plan(set: &str) -> (Vec<KeyPlan>, KeyBits) {
    let set = Parameters::named(set).expect("known set");
    (keys(&set).expect("a plan"), KeyBits::of(&set))
}

#[test]
fn production_is_the_normative_table() {
    // number, w, noise samples, bits, products, seeded bytes, mask offset
    let table = [
        (1, 17, 2_048, 38_912, 0, 16_384, 0),
        (2, 43, 1_572_864, 70_778_880, 0, 12_582_912, 16_384),
        (3, 17, 4_194_304, 79_691_776, 2_097_152, 33_554_432, 50_348_032),
        (4, 45, 8_192, 385_024, 0, 65_536, 83_902_464),
        (5, 17, 3_760_128, 71_442_432, 1_880_064, 30_081_024, 144_064_512),
        (7, 30, 16_920_576, 541_458_432, 3_760_128, 270_729_216, 174_145_536),
        (9, 45, 8_192, 385_024, 0, 65_536, 715_603_968),
        (10, 17, 2_048, 38_912, 0, 16_384, 775_766_016),
        (11, 3, 8_388_608, 41_943_040, 0, 134_217_728, 775_782_400),
        (12, 17, 3_760_128, 71_442_432, 1_880_064, 30_081_024, 1_581_088_768),
    ];
    let (keys, bits) = plan("production");
    let rows: Vec<_> = keys
        .iter()
        .map(|k| (k.number, k.noise_width, k.samples, k.bits(), k.products, k.seeded_bytes(), k.mask_offset))
        .collect();
    assert_eq!(rows, table);
    assert_eq!(bits.named().map(|(_, count)| count), [2048, 918, 2048, 1024, 4096, 6144, 918]);
    let wide: Vec<_> = keys.iter().filter(|key| key.word_bits == 128).map(|key| key.number).collect();
    assert_eq!(wide, [7, 11]);
}

#[test]
fn leaving_out_keys_moves_the_offsets_of_core() {
    let (keys, _) = plan("core");
    let offsets: Vec<_> = keys.iter().map(|key| (key.number, key.mask_offset)).collect();
    assert_eq!(offsets, [(1, 0), (4, 16_384), (5, 60_178_432), (9, 90_259_456), (10, 150_421_504)]);
}

#[test]
fn test_set_has_every_key_and_the_counted_bits_and_products() {
    let (keys, bits) = plan("test");
    assert_eq!(keys.iter().map(|key| key.number).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    let samples: Vec<_> = keys.iter().map(|key| key.samples).collect();
    assert_eq!(samples, [512, 65_536, 131_072, 256, 512, 10, 1_024, 8, 512, 256, 65_536, 512]);
    assert_eq!(keys.iter().map(KeyPlan::bits).sum::<usize>() + bits.total(), 729_638);
    assert_eq!(keys.iter().map(|key| key.products).sum::<usize>(), 66_304);
}
