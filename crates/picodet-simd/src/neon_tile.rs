//! The innermost loops of matrix products on 64-bit ARM.
//!
//! A tile is up to 12 rows of four-row groups by two or three vectors, whose sums fill registers v8 to v31. Each value of
//! a left row is loaded as a scalar (`ldr`) and multiplied by element: a load that repeats it in all lanes (`ld1r`) would take
//! one of the two vector pipes of a Cortex-A76 for each of them. Values are loaded right after the last use of those
//! before them, one load after each product, so that cores that execute in order issue both together.

use std::arch::aarch64::uint8x16_t;
use std::arch::asm;

/// Four rows by one vector: the sums `$d`, the panel's vector `v$b`, the rows' values in v4 to v7. With pointers, loads
/// the rows' next values as well.
macro_rules! quad {
    ([$mac:literal $sum:literal $unit:literal $lane:literal $scalar:literal], $b:literal:
        $d0:literal $d1:literal $d2:literal $d3:literal) => {
        concat!(
            quad!(@one $mac $sum $unit $lane, $b, $d0, "4"), quad!(@one $mac $sum $unit $lane, $b, $d1, "5"),
            quad!(@one $mac $sum $unit $lane, $b, $d2, "6"), quad!(@one $mac $sum $unit $lane, $b, $d3, "7"),
        )
    };
    ([$mac:literal $sum:literal $unit:literal $lane:literal $scalar:literal], $b:literal:
        $d0:literal $d1:literal $d2:literal $d3:literal; $p0:literal $p1:literal $p2:literal $p3:literal) => {
        concat!(
            quad!(@one $mac $sum $unit $lane, $b, $d0, "4"), quad!(@load $scalar, "4", $p0),
            quad!(@one $mac $sum $unit $lane, $b, $d1, "5"), quad!(@load $scalar, "5", $p1),
            quad!(@one $mac $sum $unit $lane, $b, $d2, "6"), quad!(@load $scalar, "6", $p2),
            quad!(@one $mac $sum $unit $lane, $b, $d3, "7"), quad!(@load $scalar, "7", $p3),
        )
    };
    (@one $mac:literal $sum:literal $unit:literal $lane:literal, $b:literal, $d:literal, $a:literal) => {
        concat!($mac, " v", $d, ".", $sum, ", v", $b, ".", $unit, ", v", $a, ".", $lane, "\n")
    };
    (@load $scalar:literal, $a:literal, $p:literal) => {
        concat!("ldr ", $scalar, $a, ", [{", $p, "}, {i}]\n")
    };
}

/// The rows' first values.
macro_rules! load {
    ([$mac:literal $sum:literal $unit:literal $lane:literal $scalar:literal]; $p0:literal $p1:literal $p2:literal
        $p3:literal) => {
        concat!(
            quad!(@load $scalar, "4", $p0), quad!(@load $scalar, "5", $p1),
            quad!(@load $scalar, "6", $p2), quad!(@load $scalar, "7", $p3),
        )
    };
}

/// Defines the loop of a tile size, for the instruction, its operands, the bytes of a unit and the assembler's name of the
/// instructions' extension.
macro_rules! tile {
    ($name:ident, 12, 2, $t:tt, $step:literal, $extension:literal) => {
        /// As [`crate::Dot::tile`], of 12 rows by 2 vectors.
        ///
        /// # Safety
        /// As [`crate::Dot::tile`]; `units` is not zero, and the processor has the instructions.
        #[inline(always)]
        unsafe fn $name(
            sums: &mut [[uint8x16_t; 2]; 12],
            lhs: *const u8,
            stride: usize,
            rhs: *const u8,
            units: usize,
        ) {
            // SAFETY: each step reads a unit of each row and 2 vectors of the panel, for `units` steps; the values
            // of the next step are loaded only if it exists.
            unsafe {
                asm!(
                    $extension,
                    "ldr q0, [{b}]",
                    "ldr q1, [{b}, #16]",
                    load!($t; "p0" "p1" "p2" "p3"),
                    "subs {n}, {n}, #1",
                    "b.eq 3f",
                    "2:",
                    quad!($t, 0: 8 10 12 14),
                    quad!($t, 1: 9 11 13 15; "p4" "p5" "p6" "p7"),
                    quad!($t, 0: 16 18 20 22),
                    quad!($t, 1: 17 19 21 23; "p8" "p9" "p10" "p11"),
                    concat!("add {i}, {i}, #", $step),
                    "add {b}, {b}, #32",
                    quad!($t, 0: 24 26 28 30),
                    "ldr q0, [{b}]",
                    "subs {n}, {n}, #1",
                    quad!($t, 1: 25 27 29 31; "p0" "p1" "p2" "p3"),
                    "ldr q1, [{b}, #16]",
                    "b.ne 2b",
                    "3:",
                    quad!($t, 0: 8 10 12 14),
                    quad!($t, 1: 9 11 13 15; "p4" "p5" "p6" "p7"),
                    quad!($t, 0: 16 18 20 22),
                    quad!($t, 1: 17 19 21 23; "p8" "p9" "p10" "p11"),
                    quad!($t, 0: 24 26 28 30),
                    quad!($t, 1: 25 27 29 31),
                    p0 = in(reg) lhs,
                    p1 = in(reg) lhs.wrapping_add(stride),
                    p2 = in(reg) lhs.wrapping_add(2 * stride),
                    p3 = in(reg) lhs.wrapping_add(3 * stride),
                    p4 = in(reg) lhs.wrapping_add(4 * stride),
                    p5 = in(reg) lhs.wrapping_add(5 * stride),
                    p6 = in(reg) lhs.wrapping_add(6 * stride),
                    p7 = in(reg) lhs.wrapping_add(7 * stride),
                    p8 = in(reg) lhs.wrapping_add(8 * stride),
                    p9 = in(reg) lhs.wrapping_add(9 * stride),
                    p10 = in(reg) lhs.wrapping_add(10 * stride),
                    p11 = in(reg) lhs.wrapping_add(11 * stride),
                    i = inout(reg) 0usize => _,
                    b = inout(reg) rhs => _,
                    n = inout(reg) units => _,
                    inout("v8") sums[0][0],
                    inout("v9") sums[0][1],
                    inout("v10") sums[1][0],
                    inout("v11") sums[1][1],
                    inout("v12") sums[2][0],
                    inout("v13") sums[2][1],
                    inout("v14") sums[3][0],
                    inout("v15") sums[3][1],
                    inout("v16") sums[4][0],
                    inout("v17") sums[4][1],
                    inout("v18") sums[5][0],
                    inout("v19") sums[5][1],
                    inout("v20") sums[6][0],
                    inout("v21") sums[6][1],
                    inout("v22") sums[7][0],
                    inout("v23") sums[7][1],
                    inout("v24") sums[8][0],
                    inout("v25") sums[8][1],
                    inout("v26") sums[9][0],
                    inout("v27") sums[9][1],
                    inout("v28") sums[10][0],
                    inout("v29") sums[10][1],
                    inout("v30") sums[11][0],
                    inout("v31") sums[11][1],
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    options(readonly, nostack),
                );
            }
        }
    };
    ($name:ident, 8, 3, $t:tt, $step:literal, $extension:literal) => {
        /// As [`crate::Dot::tile`], of 8 rows by 3 vectors.
        ///
        /// # Safety
        /// As [`crate::Dot::tile`]; `units` is not zero, and the processor has the instructions.
        #[inline(always)]
        unsafe fn $name(
            sums: &mut [[uint8x16_t; 3]; 8],
            lhs: *const u8,
            stride: usize,
            rhs: *const u8,
            units: usize,
        ) {
            // SAFETY: each step reads a unit of each row and 3 vectors of the panel, for `units` steps; the values
            // of the next step are loaded only if it exists.
            unsafe {
                asm!(
                    $extension,
                    "ldr q0, [{b}]",
                    "ldr q1, [{b}, #16]",
                    "ldr q2, [{b}, #32]",
                    load!($t; "p0" "p1" "p2" "p3"),
                    "subs {n}, {n}, #1",
                    "b.eq 3f",
                    "2:",
                    quad!($t, 0: 8 11 14 17),
                    quad!($t, 1: 9 12 15 18),
                    quad!($t, 2: 10 13 16 19; "p4" "p5" "p6" "p7"),
                    concat!("add {i}, {i}, #", $step),
                    "add {b}, {b}, #48",
                    quad!($t, 0: 20 23 26 29),
                    "ldr q0, [{b}]",
                    "subs {n}, {n}, #1",
                    quad!($t, 1: 21 24 27 30),
                    "ldr q1, [{b}, #16]",
                    quad!($t, 2: 22 25 28 31; "p0" "p1" "p2" "p3"),
                    "ldr q2, [{b}, #32]",
                    "b.ne 2b",
                    "3:",
                    quad!($t, 0: 8 11 14 17),
                    quad!($t, 1: 9 12 15 18),
                    quad!($t, 2: 10 13 16 19; "p4" "p5" "p6" "p7"),
                    quad!($t, 0: 20 23 26 29),
                    quad!($t, 1: 21 24 27 30),
                    quad!($t, 2: 22 25 28 31),
                    p0 = in(reg) lhs,
                    p1 = in(reg) lhs.wrapping_add(stride),
                    p2 = in(reg) lhs.wrapping_add(2 * stride),
                    p3 = in(reg) lhs.wrapping_add(3 * stride),
                    p4 = in(reg) lhs.wrapping_add(4 * stride),
                    p5 = in(reg) lhs.wrapping_add(5 * stride),
                    p6 = in(reg) lhs.wrapping_add(6 * stride),
                    p7 = in(reg) lhs.wrapping_add(7 * stride),
                    i = inout(reg) 0usize => _,
                    b = inout(reg) rhs => _,
                    n = inout(reg) units => _,
                    inout("v8") sums[0][0],
                    inout("v9") sums[0][1],
                    inout("v10") sums[0][2],
                    inout("v11") sums[1][0],
                    inout("v12") sums[1][1],
                    inout("v13") sums[1][2],
                    inout("v14") sums[2][0],
                    inout("v15") sums[2][1],
                    inout("v16") sums[2][2],
                    inout("v17") sums[3][0],
                    inout("v18") sums[3][1],
                    inout("v19") sums[3][2],
                    inout("v20") sums[4][0],
                    inout("v21") sums[4][1],
                    inout("v22") sums[4][2],
                    inout("v23") sums[5][0],
                    inout("v24") sums[5][1],
                    inout("v25") sums[5][2],
                    inout("v26") sums[6][0],
                    inout("v27") sums[6][1],
                    inout("v28") sums[6][2],
                    inout("v29") sums[7][0],
                    inout("v30") sums[7][1],
                    inout("v31") sums[7][2],
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    options(readonly, nostack),
                );
            }
        }
    };
    ($name:ident, 8, 2, $t:tt, $step:literal, $extension:literal) => {
        /// As [`crate::Dot::tile`], of 8 rows by 2 vectors.
        ///
        /// # Safety
        /// As [`crate::Dot::tile`]; `units` is not zero, and the processor has the instructions.
        #[inline(always)]
        unsafe fn $name(
            sums: &mut [[uint8x16_t; 2]; 8],
            lhs: *const u8,
            stride: usize,
            rhs: *const u8,
            units: usize,
        ) {
            // SAFETY: each step reads a unit of each row and 2 vectors of the panel, for `units` steps; the values
            // of the next step are loaded only if it exists.
            unsafe {
                asm!(
                    $extension,
                    "ldr q0, [{b}]",
                    "ldr q1, [{b}, #16]",
                    load!($t; "p0" "p1" "p2" "p3"),
                    "subs {n}, {n}, #1",
                    "b.eq 3f",
                    "2:",
                    quad!($t, 0: 8 10 12 14),
                    quad!($t, 1: 9 11 13 15; "p4" "p5" "p6" "p7"),
                    concat!("add {i}, {i}, #", $step),
                    "add {b}, {b}, #32",
                    quad!($t, 0: 16 18 20 22),
                    "ldr q0, [{b}]",
                    "subs {n}, {n}, #1",
                    quad!($t, 1: 17 19 21 23; "p0" "p1" "p2" "p3"),
                    "ldr q1, [{b}, #16]",
                    "b.ne 2b",
                    "3:",
                    quad!($t, 0: 8 10 12 14),
                    quad!($t, 1: 9 11 13 15; "p4" "p5" "p6" "p7"),
                    quad!($t, 0: 16 18 20 22),
                    quad!($t, 1: 17 19 21 23),
                    p0 = in(reg) lhs,
                    p1 = in(reg) lhs.wrapping_add(stride),
                    p2 = in(reg) lhs.wrapping_add(2 * stride),
                    p3 = in(reg) lhs.wrapping_add(3 * stride),
                    p4 = in(reg) lhs.wrapping_add(4 * stride),
                    p5 = in(reg) lhs.wrapping_add(5 * stride),
                    p6 = in(reg) lhs.wrapping_add(6 * stride),
                    p7 = in(reg) lhs.wrapping_add(7 * stride),
                    i = inout(reg) 0usize => _,
                    b = inout(reg) rhs => _,
                    n = inout(reg) units => _,
                    inout("v8") sums[0][0],
                    inout("v9") sums[0][1],
                    inout("v10") sums[1][0],
                    inout("v11") sums[1][1],
                    inout("v12") sums[2][0],
                    inout("v13") sums[2][1],
                    inout("v14") sums[3][0],
                    inout("v15") sums[3][1],
                    inout("v16") sums[4][0],
                    inout("v17") sums[4][1],
                    inout("v18") sums[5][0],
                    inout("v19") sums[5][1],
                    inout("v20") sums[6][0],
                    inout("v21") sums[6][1],
                    inout("v22") sums[7][0],
                    inout("v23") sums[7][1],
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    options(readonly, nostack),
                );
            }
        }
    };
    ($name:ident, 4, 3, $t:tt, $step:literal, $extension:literal) => {
        /// As [`crate::Dot::tile`], of 4 rows by 3 vectors.
        ///
        /// # Safety
        /// As [`crate::Dot::tile`]; `units` is not zero, and the processor has the instructions.
        #[inline(always)]
        unsafe fn $name(
            sums: &mut [[uint8x16_t; 3]; 4],
            lhs: *const u8,
            stride: usize,
            rhs: *const u8,
            units: usize,
        ) {
            // SAFETY: each step reads a unit of each row and 3 vectors of the panel, for `units` steps; the values
            // of the next step are loaded only if it exists.
            unsafe {
                asm!(
                    $extension,
                    "ldr q0, [{b}]",
                    "ldr q1, [{b}, #16]",
                    "ldr q2, [{b}, #32]",
                    load!($t; "p0" "p1" "p2" "p3"),
                    "subs {n}, {n}, #1",
                    "b.eq 3f",
                    "2:",
                    concat!("add {i}, {i}, #", $step),
                    "add {b}, {b}, #48",
                    quad!($t, 0: 8 11 14 17),
                    "ldr q0, [{b}]",
                    "subs {n}, {n}, #1",
                    quad!($t, 1: 9 12 15 18),
                    "ldr q1, [{b}, #16]",
                    quad!($t, 2: 10 13 16 19; "p0" "p1" "p2" "p3"),
                    "ldr q2, [{b}, #32]",
                    "b.ne 2b",
                    "3:",
                    quad!($t, 0: 8 11 14 17),
                    quad!($t, 1: 9 12 15 18),
                    quad!($t, 2: 10 13 16 19),
                    p0 = in(reg) lhs,
                    p1 = in(reg) lhs.wrapping_add(stride),
                    p2 = in(reg) lhs.wrapping_add(2 * stride),
                    p3 = in(reg) lhs.wrapping_add(3 * stride),
                    i = inout(reg) 0usize => _,
                    b = inout(reg) rhs => _,
                    n = inout(reg) units => _,
                    inout("v8") sums[0][0],
                    inout("v9") sums[0][1],
                    inout("v10") sums[0][2],
                    inout("v11") sums[1][0],
                    inout("v12") sums[1][1],
                    inout("v13") sums[1][2],
                    inout("v14") sums[2][0],
                    inout("v15") sums[2][1],
                    inout("v16") sums[2][2],
                    inout("v17") sums[3][0],
                    inout("v18") sums[3][1],
                    inout("v19") sums[3][2],
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    options(readonly, nostack),
                );
            }
        }
    };
    ($name:ident, 4, 2, $t:tt, $step:literal, $extension:literal) => {
        /// As [`crate::Dot::tile`], of 4 rows by 2 vectors.
        ///
        /// # Safety
        /// As [`crate::Dot::tile`]; `units` is not zero, and the processor has the instructions.
        #[inline(always)]
        unsafe fn $name(
            sums: &mut [[uint8x16_t; 2]; 4],
            lhs: *const u8,
            stride: usize,
            rhs: *const u8,
            units: usize,
        ) {
            // SAFETY: each step reads a unit of each row and 2 vectors of the panel, for `units` steps; the values
            // of the next step are loaded only if it exists.
            unsafe {
                asm!(
                    $extension,
                    "ldr q0, [{b}]",
                    "ldr q1, [{b}, #16]",
                    load!($t; "p0" "p1" "p2" "p3"),
                    "subs {n}, {n}, #1",
                    "b.eq 3f",
                    "2:",
                    concat!("add {i}, {i}, #", $step),
                    "add {b}, {b}, #32",
                    quad!($t, 0: 8 10 12 14),
                    "ldr q0, [{b}]",
                    "subs {n}, {n}, #1",
                    quad!($t, 1: 9 11 13 15; "p0" "p1" "p2" "p3"),
                    "ldr q1, [{b}, #16]",
                    "b.ne 2b",
                    "3:",
                    quad!($t, 0: 8 10 12 14),
                    quad!($t, 1: 9 11 13 15),
                    p0 = in(reg) lhs,
                    p1 = in(reg) lhs.wrapping_add(stride),
                    p2 = in(reg) lhs.wrapping_add(2 * stride),
                    p3 = in(reg) lhs.wrapping_add(3 * stride),
                    i = inout(reg) 0usize => _,
                    b = inout(reg) rhs => _,
                    n = inout(reg) units => _,
                    inout("v8") sums[0][0],
                    inout("v9") sums[0][1],
                    inout("v10") sums[1][0],
                    inout("v11") sums[1][1],
                    inout("v12") sums[2][0],
                    inout("v13") sums[2][1],
                    inout("v14") sums[3][0],
                    inout("v15") sums[3][1],
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    options(readonly, nostack),
                );
            }
        }
    };
}

/// Defines the loops of a type, and the choice between them.
macro_rules! tiles {
    ($type:ident, $Vector:ty, $Unit:ty, $t:tt, $step:literal, $extension:literal) => {
        pub(crate) mod $type {
            use super::*;
            tile!(tile_12x2, 12, 2, $t, $step, $extension);
            tile!(tile_8x3, 8, 3, $t, $step, $extension);
            tile!(tile_8x2, 8, 2, $t, $step, $extension);
            tile!(tile_4x3, 4, 3, $t, $step, $extension);
            tile!(tile_4x2, 4, 2, $t, $step, $extension);

            /// As [`crate::Dot::tile`].
            ///
            /// # Safety
            /// As [`crate::Dot::tile`]; the processor has the instructions.
            #[inline(always)]
            pub(crate) unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
                sums: &mut [[$Vector; VECTORS]; ROWS],
                lhs: *const $Unit,
                stride: usize,
                rhs: *const $Unit,
                units: usize,
            ) -> bool {
                if units == 0 {
                    return true;
                }
                let (to, stride) = (sums.as_mut_ptr(), stride * size_of::<$Unit>());
                let (lhs, rhs) = (lhs.cast(), rhs.cast());
                // SAFETY: the sums are the `ROWS · VECTORS` vectors of 16 bytes of the tile; the caller vouches for the rest.
                unsafe {
                    match (ROWS, VECTORS) {
                        (12, 2) => tile_12x2(&mut *to.cast(), lhs, stride, rhs, units),
                        (8, 3) => tile_8x3(&mut *to.cast(), lhs, stride, rhs, units),
                        (8, 2) => tile_8x2(&mut *to.cast(), lhs, stride, rhs, units),
                        (4, 3) => tile_4x3(&mut *to.cast(), lhs, stride, rhs, units),
                        (4, 2) => tile_4x2(&mut *to.cast(), lhs, stride, rhs, units),
                        _ => return false,
                    }
                }
                true
            }
        }
    };
}

tiles!(float, crate::neon::F32x4, f32, ["fmla" "4s" "4s" "s[0]" "s"], 4, "");
tiles!(bytes, crate::neon::I32x4, u32, ["sdot" "4s" "16b" "4b[0]" "s"], 4, ".arch_extension dotprod");
tiles!(half, crate::neon_f16::F16x8, u16, ["fmla" "8h" "8h" "h[0]" "h"], 2, ".arch_extension fp16");
