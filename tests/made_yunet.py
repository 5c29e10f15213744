"""A network with the inputs and outputs of YuNet that finds white squares."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_yunet(path, without=()):
    """Write a YuNet-like network that finds white squares of 32 pixels.

    At the stride 32, a cell's score is 1 if all its pixels are white. Its box is the
    cell. At the strides 8 and 16, all scores are 0.

    Args:
        path (Path): File to write.
        without (sequence[str]): Outputs to leave out, as in a model of another kind.
    """
    nodes, constants, outputs = [], {}, []

    def constant(name, values, kind=np.float32):
        constants[name] = numpy_helper.from_array(np.array(values, kind), name)
        return name

    def add(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    mean = constant('mean', np.full((1, 3, 1, 1), 1 / 3))
    add('Conv', ['input', mean], 'grey')
    for stride in (8, 16, 32):
        pooled = add(
            'AveragePool',
            ['grey'],
            f'pooled_{stride}',
            kernel_shape=[stride, stride],
            strides=[stride, stride],
        )
        flat = add(
            'Reshape',
            [pooled, constant('cells', [1, -1, 1], np.int64)],
            f'flat_{stride}',
        )
        shift = constant(f'shift_{stride}', [-254.0 if stride == 32 else -1000.0])
        raised = add('Add', [flat, shift], f'raised_{stride}')
        score = add('Sigmoid', [raised], f'sigmoid_{stride}')
        # White cells have sigmoid(1) = 0.731, all others less than 0.5.
        scaled = add(
            'Mul', [score, constant('gain', [1 / 0.7310586])], f'scaled_{stride}'
        )
        zero = add('Mul', [flat, constant('zero', [0.0])], f'zero_{stride}')
        half = add('Add', [zero, constant('half', [0.5])], f'half_{stride}')
        made = {
            'cls': add('Identity', [scaled], f'cls_{stride}'),
            'obj': add('Identity', [scaled], f'obj_{stride}'),
            # The centre of a cell, and the logarithm of the size in strides.
            'bbox': add('Concat', [half, half, zero, zero], f'bbox_{stride}', axis=2),
            'kps': add('Concat', [half] * 10, f'kps_{stride}', axis=2),
        }
        for name, width in (('cls', 1), ('obj', 1), ('bbox', 4), ('kps', 10)):
            if made[name] not in without:
                outputs.append((f'{name}_{stride}', width))
    outputs.sort(
        key=lambda pair: ['cls', 'obj', 'bbox', 'kps'].index(pair[0].split('_')[0])
    )
    graph = helper.make_graph(
        nodes,
        'made_yunet',
        [helper.make_tensor_value_info('input', TensorProto.FLOAT, [1, 3, 'h', 'w'])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, width])
            for name, width in outputs
        ],
        list(constants.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
