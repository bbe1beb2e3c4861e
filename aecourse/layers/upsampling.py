"""Three ways to double an image with learned weights, each in place of another."""

import itertools
import math

import keras
from keras import ops

from aecourse.checks import refuse


@keras.saving.register_keras_serializable(package="aecourse")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`, as one matrix product on JAX/CPU.

    Same arguments, weights and outputs; the two layers load each other's weights.
    The stock layer is fast on TensorFlow and on accelerators. On a CPU, JAX computes
    the gradient of its kernel in a slow loop. There, this layer takes another way: the
    kernel's tap `t = j * stride + r` carries the input at `m - j` to the output at
    `m * stride + r`. One matrix product gives what every tap makes of every pixel; what
    the taps of the same phase `r` give is shifted and added up, and the phases are
    interleaved. No multiplication by a zero is left, forward or backward.

    `output_padding`, dilation and `channels_first` are left to the stock layer.

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        **kwargs: As for `keras.layers.Conv2DTranspose`: `strides`, `padding`, ...

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        `(batch, stride * height, stride * width, filters)` with `padding="same"`;
        with `"valid"`, each length is `(n - 1) * stride + max(kernel_size, stride)`.

    Raises:
        ValueError: what the stock layer refuses.

    Example:

    >>> layer = Conv2DTranspose(8, kernel_size=3, strides=2, padding="same")
    >>> tuple(layer(ops.ones((1, 7, 7, 4))).shape)
    (1, 14, 14, 8)

    Derived in: notebook 04.

    Reference:
        Shi et al., "Is the deconvolution layer the same as a convolutional layer?"
        (2016).
    """

    def call(self, inputs):
        if (
            not _runs_on_jax_cpu()
            or self.output_padding is not None
            or max(self.dilation_rate) > 1
            or self.data_format == "channels_first"
        ):
            return super().call(inputs)
        outputs = self._by_one_product(inputs)
        if self.use_bias:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)

    def _by_one_product(self, inputs):
        """The outputs before the bias."""
        rows, columns = (
            _Axis(size, stride, self.padding)
            for size, stride in zip(self.kernel_size, self.strides, strict=True)
        )
        phases = {}
        for row, column, values in self._tap_products(inputs):
            # A map of one filter comes without its last axis: see `_tap_products`.
            pad = [(0, 0), rows.pad, columns.pad, (0, 0)][: len(values.shape)]
            shifted = ops.pad(values, pad)[:, rows.window(row), columns.window(column)]
            phase = row % rows.stride, column % columns.stride
            phases[phase] = phases[phase] + shifted if phase in phases else shifted
        nothing = ops.zeros_like(shifted)  # a stride above the kernel size leaves gaps
        join = ops.stack if self.filters == 1 else ops.concatenate
        row_phases = [
            join([phases.get((r, c), nothing) for c in range(columns.stride)], axis=-1)
            for r in range(rows.stride)
        ]
        outputs = _interleave(row_phases, columns.stride)
        return outputs[:, rows.crop, columns.crop]

    def _tap_products(self, inputs):
        """For each tap of the kernel `(row, column, what it makes of each pixel)`.

        The product has two axes, pixels and channels, because XLA chooses other layouts
        and slower loops where the pixels are spread over three. It is split before it
        is reshaped: the gradient of a split is one concatenation, where that of slices
        is a sum of padded arrays.
        """
        num_rows, num_columns, filters, channels = self.kernel.shape
        num_taps = num_rows * num_columns
        _, height, width, _ = ops.shape(inputs)
        pixels = ops.reshape(inputs, (-1, channels))
        if filters == 1:
            # XLA makes slow loops of an innermost axis of one number: so without it.
            kernel = ops.reshape(self.kernel, (num_taps, channels))
            products = ops.matmul(kernel, ops.transpose(pixels))
            products = ops.split(products, num_taps, axis=0)
            shape = (-1, height, width)
        else:
            kernel = ops.transpose(self.kernel, (3, 0, 1, 2))
            products = ops.matmul(pixels, ops.reshape(kernel, (channels, -1)))
            products = ops.split(products, num_taps, axis=-1)
            shape = (-1, height, width, filters)
        taps = itertools.product(range(num_rows), range(num_columns))
        for (row, column), product in zip(taps, products, strict=True):
            yield row, column, ops.reshape(product, shape)


class _Axis:
    """How one spatial axis is padded, shifted and cropped."""

    def __init__(self, size, stride, padding):
        same = padding == "same"
        self.stride = stride
        self.num_shifts = math.ceil(size / stride)
        # Of the full transposed convolution, "same" keeps n * stride positions from
        # `start` on, "valid" all (n - 1) * stride + max(size, stride).
        start = max(size - stride, 0) // 2 if same else 0
        end = start if same else max(size, stride) - stride  # past n * stride
        first, last = start // stride, math.ceil(end / stride)
        self.pad = (self.num_shifts - 1 - first, last)
        cut = last * stride - end
        self.crop = slice(start - first * stride, -cut if cut else None)

    def window(self, tap):
        """Where the padded inputs lie that this tap of the kernel carries."""
        shift = tap // self.stride
        return slice(self.num_shifts - 1 - shift, -shift or None)


def _runs_on_jax_cpu():
    # Without an argument Keras lists the accelerators, or else the CPU.
    return keras.config.backend() == "jax" and keras.distribution.list_devices()[
        0
    ].startswith("cpu")


def _interleave(row_phases, column_stride):
    """Depth to space, for strides that may differ, without a transposition.

    Args:
        row_phases: One tensor for each phase of the rows, of shape `(batch, height,
            width, column_stride * filters)`: the phases of the columns side by side.
        column_stride: Number of phases of the columns.

    Returns:
        Tensor `(batch, len(row_phases) * height, column_stride * width, filters)`.
    """
    _, height, width, num_channels = ops.shape(row_phases[0])
    filters = num_channels // column_stride
    width = width * column_stride
    # The phases of the columns lie side by side in memory, so a reshape interleaves
    # them. The phases of the rows, laid one behind the other along the width, too.
    full_rows = [ops.reshape(x, (-1, height, width, filters)) for x in row_phases]
    outputs = ops.concatenate(full_rows, axis=2)
    return ops.reshape(outputs, (-1, height * len(row_phases), width, filters))


class _UpsamplingConv2D(keras.layers.Conv2D):
    """A convolution whose `strides` multiply height and width."""

    def __init__(self, filters, kernel_size, *, strides=1, padding="same", **kwargs):
        super().__init__(
            filters, kernel_size, strides=strides, padding=padding, **kwargs
        )
        if self.data_format != "channels_last":
            refuse("data_format", "'channels_last'", self.data_format)
        if max(self.dilation_rate) > 1:
            refuse("dilation_rate", "1", self.dilation_rate)
        if self.groups > 1:
            refuse("groups", "1", self.groups)

    def compute_output_shape(self, input_shape):
        batch, *lengths, _ = input_shape
        lost = [0 if self.padding == "same" else k - 1 for k in self.kernel_size]
        lengths = [
            None if length is None else self._output_length(length, stride, cut)
            for length, stride, cut in zip(lengths, self.strides, lost, strict=True)
        ]
        return (batch, *lengths, self.filters)


@keras.saving.register_keras_serializable(package="aecourse")
class ResizeConv2D(_UpsamplingConv2D):
    """Enlarges an image by a fixed interpolation, then convolves it.

    Every output pixel is reached by the same number of kernel taps, so no phase of
    the stride is treated in another way: a constant image stays constant (away from
    zero-padded borders), whatever the kernel. A transposed convolution with random
    weights paints a checkerboard on it, whatever its kernel size. The price: the
    convolution works on `strides[0] * strides[1]` times as many pixels.

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        strides: Integer or pair: by what height and width are multiplied.
        padding: `"same"` or `"valid"`, of the convolution.
        interpolation: `"nearest"` or `"bilinear"`.
        **kwargs: As for `keras.layers.Conv2D`: `activation`, `use_bias`,
            `kernel_initializer`, ...; not `groups`, `dilation_rate` or
            `data_format`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        `(batch, stride * height, stride * width, filters)` with `padding="same"`;
        with `"valid"`, each length is shorter by `kernel_size - 1`.

    Raises:
        ValueError: if `interpolation` is unknown, and what the stock layer refuses.

    Example:

    >>> layer = ResizeConv2D(8, kernel_size=3, strides=2)
    >>> tuple(layer(ops.ones((1, 7, 7, 4))).shape)
    (1, 14, 14, 8)

    Derived in: notebook 04.

    Reference:
        Odena et al., "Deconvolution and Checkerboard Artifacts" (2016).
    """

    def __init__(
        self,
        filters,
        kernel_size,
        *,
        strides=1,
        padding="same",
        interpolation="nearest",
        **kwargs,
    ):
        super().__init__(
            filters, kernel_size, strides=strides, padding=padding, **kwargs
        )
        if interpolation not in ("nearest", "bilinear"):
            refuse("interpolation", "'nearest' or 'bilinear'", interpolation)
        self.interpolation = interpolation

    def convolution_op(self, inputs, kernel):
        return ops.conv(self._resize(inputs), kernel, padding=self.padding)

    def _resize(self, inputs):
        if self.interpolation == "nearest":
            repeated = ops.repeat(inputs, self.strides[0], axis=1)
            return ops.repeat(repeated, self.strides[1], axis=2)
        _, height, width, _ = ops.shape(inputs)
        size = (height * self.strides[0], width * self.strides[1])
        resized = ops.image.resize(
            inputs, size, interpolation="bilinear", data_format="channels_last"
        )
        return ops.cast(resized, inputs.dtype)

    def _output_length(self, length, stride, lost):
        return length * stride - lost

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}


@keras.saving.register_keras_serializable(package="aecourse")
class SubPixelConv2D(_UpsamplingConv2D):
    """Convolves at the small size to all phases of the large one, then interleaves.

    The convolution gives `strides[0] * strides[1] * filters` channels; depth to space
    lays them out side by side. With a kernel of odd size k it is a transposed
    convolution with a kernel of size `k * stride` in another order (and a bias for
    each phase). It multiplies as often as a resize and a convolution of the same
    kernel size, with `strides[0] * strides[1]` times the weights. Each phase has
    weights of its own: nothing but training makes them agree.

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair, in pixels of the input.
        strides: Integer or pair: by what height and width are multiplied.
        padding: `"same"` or `"valid"`, of the convolution.
        **kwargs: As for `keras.layers.Conv2D`: `activation`, `use_bias`,
            `kernel_initializer`, ...; not `groups`, `dilation_rate` or
            `data_format`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        `(batch, stride * height, stride * width, filters)` with `padding="same"`;
        with `"valid"`, each length is `stride * (n - kernel_size + 1)`.

    Raises:
        ValueError: what the stock layer refuses.

    Example:

    >>> layer = SubPixelConv2D(8, kernel_size=3, strides=2)
    >>> tuple(layer(ops.ones((1, 7, 7, 4))).shape)
    (1, 14, 14, 8)

    Derived in: notebook 04.

    Reference:
        Shi et al., "Real-Time Single Image and Video Super-Resolution Using an
        Efficient Sub-Pixel Convolutional Neural Network" (2016).
    """

    def build(self, input_shape):
        # As the stock layer does, but with `filters` channels for each phase.
        num_channels = math.prod(self.strides) * self.filters
        self.input_spec = keras.InputSpec(min_ndim=4, axes={-1: input_shape[-1]})
        self._kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], num_channels),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(num_channels,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True  # as `enable_lora` demands
        if self.lora_rank:
            self.enable_lora(self.lora_rank)

    def enable_lora(self, rank, *args, **kwargs):
        # The stock layer sizes the second factor by `filters`.
        filters = self.filters
        self.filters = math.prod(self.strides) * filters
        try:
            super().enable_lora(rank, *args, **kwargs)
        finally:
            self.filters = filters

    def call(self, inputs):
        phases = ops.conv(inputs, self.kernel, padding=self.padding)
        if self.use_bias:
            phases = phases + self.bias
        row_stride, column_stride = self.strides
        row_phases = ops.split(phases, row_stride, axis=-1)
        outputs = _interleave(row_phases, column_stride)
        return outputs if self.activation is None else self.activation(outputs)

    def _output_length(self, length, stride, lost):
        return (length - lost) * stride
