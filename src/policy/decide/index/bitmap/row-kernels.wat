;; Operations on bitmaps of rows, 128 rows at a time. A bitmap is `bytes` long, a multiple of 16 and not 0; each row is a bit, the lowest
;; first. Bitmaps are passed by address. `npm run gen` assembles this into row-kernels.ts; row-sets.ts documents the operations.
(module
  (import "host" "memory" (memory 1))

  (func (export "unite")
    (param $into i32) (param $first i32) (param $second i32) (param $third i32) (param $fourth i32) (param $bytes i32)
    (local $at i32)
    (loop $next
      (v128.store (i32.add (local.get $into) (local.get $at))
        (v128.or
          (v128.or
            (v128.load (i32.add (local.get $first) (local.get $at)))
            (v128.load (i32.add (local.get $second) (local.get $at))))
          (v128.or
            (v128.load (i32.add (local.get $third) (local.get $at)))
            (v128.load (i32.add (local.get $fourth) (local.get $at))))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes)))))

  ;; $flip turns "in any of the bitmaps" into "in none": its bits are all 0 or all 1.
  (func (export "pass")
    (param $into i32) (param $rows i32)
    (param $first i32) (param $second i32) (param $third i32) (param $fourth i32) (param $flip i32) (param $bytes i32)
    (result i32)
    (local $at i32) (local $left v128) (local $all v128) (local $mask v128)
    (local.set $mask (i32x4.splat (local.get $flip)))
    (loop $next
      (local.set $left
        (v128.and
          (v128.load (i32.add (local.get $rows) (local.get $at)))
          (v128.xor
            (local.get $mask)
            (v128.or
              (v128.or
                (v128.load (i32.add (local.get $first) (local.get $at)))
                (v128.load (i32.add (local.get $second) (local.get $at))))
              (v128.or
                (v128.load (i32.add (local.get $third) (local.get $at)))
                (v128.load (i32.add (local.get $fourth) (local.get $at))))))))
      (v128.store (i32.add (local.get $into) (local.get $at)) (local.get $left))
      (local.set $all (v128.or (local.get $all) (local.get $left)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes))))
    (v128.any_true (local.get $all)))

  (func (export "list")
    (param $rows i32) (param $bytes i32) (param $into i32) (param $most i32)
    (result i32)
    (local $at i32) (local $end i32) (local $word i64) (local $count i32)
    (loop $next
      (local.set $end (i32.add (local.get $at) (i32.const 16)))
      (if (v128.any_true (v128.load (i32.add (local.get $rows) (local.get $at))))
        (then
          (loop $words
            (local.set $word (i64.load (i32.add (local.get $rows) (local.get $at))))
            (block $done
              (loop $bits
                (br_if $done (i64.eqz (local.get $word)))
                (if (i32.eq (local.get $count) (local.get $most)) (then (return (i32.const -1))))
                ;; Eight rows per byte, four bytes per number.
                (i32.store
                  (i32.add (local.get $into) (i32.shl (local.get $count) (i32.const 2)))
                  (i32.add (i32.shl (local.get $at) (i32.const 3)) (i32.wrap_i64 (i64.ctz (local.get $word)))))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (local.set $word (i64.and (local.get $word) (i64.sub (local.get $word) (i64.const 1))))
                (br $bits)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $words (i32.lt_u (local.get $at) (local.get $end))))))
      (local.set $at (local.get $end))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes))))
    (local.get $count)))
